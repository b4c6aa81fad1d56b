"""The certificate file and its independent proof: NumPy, rational numbers and nothing of `methods`."""
