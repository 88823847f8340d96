"""`mailchute …`: the whole system on one machine, and everything else through the control plane."""
