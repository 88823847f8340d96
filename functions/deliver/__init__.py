"""deliver: one signed POST of one mail to one endpoint, and what came of it."""
