"""The engines that the rows run against, behind one Protocol.

base: the Protocol. settings: engines.toml, and what KIND:ARGUMENT means. kinds: the kinds as entry
points. factory: from what `--engine` says to an engine. managed: what every daemon started here has
in common, with dockerd, podman and reference as its kinds. container: a dockerd from an image.
external: a daemon that somebody else runs. cleanup: takes away what a crashed run left behind.
"""
