//! Running a plan: scheduler, executors, journal, progress, worker protocol.
