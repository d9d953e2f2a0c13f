"""The service: everything built from the configuration, started, watched, reloaded and ended."""
