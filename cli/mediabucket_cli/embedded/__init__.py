"""Real servers for laptops and tests: children of this process, on loopback only, gone when it is gone."""
