"""The run folder: paths, verbs, locks and the spool."""
