"""`thoonk conform`: proves that a program in any language keeps to contract.txt.

`vector` reads the cases, and `values` what replaces times, fresh ids and tokens.
`sandbox` is the server with its keys and channels, `peer` the program that is tried, and
`runner` brings them together. `compare` finds the differences, `report` shows them, and `cli`
is the command.
"""
