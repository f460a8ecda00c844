"""How what the suite makes on an engine can be told from what is somebody else's."""

# The label of every container, network and image of a run; its value is the run's id.
RUN_LABEL = "netinit.run"
# The label of the test image, on every engine.
IMAGE_LABEL = "netinit.image"
# How the name of every container and network of ours begins.
NAME_PREFIX = "netinit-"
# How the name of a container begins that holds an engine of ours; rows take it for somebody else's.
ENGINE_PREFIX = f"{NAME_PREFIX}engine-"
