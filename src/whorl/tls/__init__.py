"""What TLS needs besides bytes: contexts, certificates, and what a connection's handshake came to. See README.md."""
