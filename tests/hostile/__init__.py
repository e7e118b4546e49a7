"""What somebody tries who may only stage one app, over a real sshd; see `scene`."""
