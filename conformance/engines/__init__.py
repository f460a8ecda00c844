"""The engines that the rows run against, behind one Protocol.

base: the Protocol. settings: engines.toml. managed: what every daemon started here has in common,
with dockerd and reference as its two kinds. external: a daemon that somebody else runs. cleanup:
takes away what a crashed run left behind.
"""
