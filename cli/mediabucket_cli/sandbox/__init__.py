"""A development platform that makes life hard on purpose: slow, failing, with URLs that die young."""
