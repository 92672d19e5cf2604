"""What TLS needs besides octets: contexts, certificates, and what a connection's handshake came to. See README.md."""
