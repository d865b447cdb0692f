"""Machine-checked theorems: compiles proofs/formal, lists what is proved, and compares with the texts."""
