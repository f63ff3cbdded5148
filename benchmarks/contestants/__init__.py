"""What is measured: one module per library, imported only in a process of its own."""
