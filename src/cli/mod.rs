//! The command line: one file per verb: arguments, one call, printing.
