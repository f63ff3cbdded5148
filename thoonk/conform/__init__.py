"""`thoonk conform`: proves that a program in any language keeps to contract.txt.

`vector` reads the cases, `values` has what stands for times, fresh ids and tokens in them,
`sandbox` is the server with its keys and channels, `peer` the program that is tried, `runner`
brings them together, and `cli` is the command.
"""
