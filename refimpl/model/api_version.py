"""The versions of the Docker API that the engine serves: those of Docker 20.10."""

from __future__ import annotations

API_VERSION = "1.41"
API_VERSION_MIN = "1.12"
