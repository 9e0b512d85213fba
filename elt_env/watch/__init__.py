"""What looks at the world: releases, Pythons, specs, and whether a new lock would come of it."""
