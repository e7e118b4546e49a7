"""What the end-to-end tests stand on: real git, real sshd, a real server."""
