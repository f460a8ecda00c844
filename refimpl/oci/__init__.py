"""The only room that talks to an OCI runtime, runc or crun, as a subprocess."""
