"""Trust by path: chains of certificates, and what their issuers say of revocation, each with its verdict."""
