"""The watch: releases, Pythons and specs, and whether a new lock would come of them."""
