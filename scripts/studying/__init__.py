"""The parts of the study: scripts/study.py is its command."""
