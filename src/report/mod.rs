//! Tables, charts, the HTML page, CSV and JSON of a study.
