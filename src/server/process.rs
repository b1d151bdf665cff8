//! What concerns the process, whichever servers run in it.
//!
//! Owns: what this build is, log lines on standard error, interpreters that were left behind.
//! Does not own: what is logged, messages for people (`turboapi_rs.cli`).
//! Rule: nothing here needs a server.

use super::settings::wrong;
use crate::interp;
use crate::runtime;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What this build is and where it runs.
#[pyfunction]
pub(super) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("python", py.version().split(' ').next())?;
    info.set_item("free_threaded", interp::IS_FREE_THREADED_BUILD)?;
    info.set_item("gil_enabled", !interp::is_gil_disabled(py))?;
    // Tried for real: what is built in says nothing of what this system lets run.
    let (driver, refusal) = py.detach(runtime::usable_driver);
    info.set_item("driver", driver.name())?;
    info.set_item("uring_refusal", refusal)?;
    info.set_item("cores", runtime::available_cores())?;
    Ok(info)
}

/// How many interpreters of workers could not be ended: then the process must not end in the usual way either.
#[pyfunction]
pub(super) fn interpreters_left_behind() -> usize {
    interp::interpreters_left_behind()
}

/// Sends log lines of this level and above to standard error: `debug`, `info`, `warning`, `error` or `off`.
#[pyfunction]
pub(super) fn set_log_level(level: &str) -> PyResult<()> {
    let level = match level {
        "debug" => log::LevelFilter::Debug,
        "info" => log::LevelFilter::Info,
        "warning" => log::LevelFilter::Warn,
        "error" | "critical" => log::LevelFilter::Error,
        "off" => log::LevelFilter::Off,
        _ => return Err(wrong("log_level", "debug, info, warning, error or off")),
    };
    // Fails when another logger is installed, which then has its own idea of levels.
    let _ = log::set_logger(&StderrLog);
    log::set_max_level(level);
    Ok(())
}

/// One line an event, on standard error.
struct StderrLog;

impl log::Log for StderrLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("turboapi")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            use std::io::Write;
            let line = format!("turboapi {}: {}\n", record.level(), record.args());
            // A closed standard error has no reader to tell.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}
