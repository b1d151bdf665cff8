//! Settings, as Python gives them.
//!
//! Owns: what each is called, its default, what is said of one that is wrong.
//! Does not own: ranges (`turboapi_rs.config` has checked them), what a setting does (`runtime`, `dispatch`).
//! Rule: every setting is optional; a wrong one is a [`ConfigError`] that names it.

use super::ConfigError;
use crate::dispatch::{FormLimits, LoopPlacement, Thresholds};
use crate::http1::Limits;
use crate::runtime::{Bind, DriverChoice, RuntimeConfig, Timeouts};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

/// Flat settings by name.
pub(super) struct Settings<'a, 'py>(pub &'a Bound<'py, PyDict>);

impl<'py> Settings<'_, 'py> {
    fn item(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.0.get_item(name)?.filter(|value| !value.is_none()))
    }

    pub(super) fn text(&self, name: &str) -> PyResult<Option<String>> {
        self.item(name)?.map(|value| value.extract().map_err(|_| wrong(name, "a str"))).transpose()
    }

    fn count(&self, name: &str, default: usize) -> PyResult<usize> {
        match self.item(name)? {
            Some(value) => value.extract().map_err(|_| wrong(name, "a count")),
            None => Ok(default),
        }
    }

    fn seconds(&self, name: &str, default: Duration) -> PyResult<Duration> {
        match self.item(name)? {
            Some(value) => {
                let seconds: f64 = value.extract().map_err(|_| wrong(name, "seconds"))?;
                Duration::try_from_secs_f64(seconds).map_err(|_| wrong(name, "seconds"))
            }
            None => Ok(default),
        }
    }

    /// Which workers have a loop.
    pub(super) fn placement(&self) -> PyResult<LoopPlacement> {
        match self.text("loops")?.as_deref() {
            None | Some("home") => Ok(LoopPlacement::Home),
            Some("per-worker") => Ok(LoopPlacement::PerWorker),
            Some(other) => Err(ConfigError::new_err(format!("loops: {other:?} is not home or per-worker"))),
        }
    }

    /// What an uploaded form may be.
    pub(super) fn forms(&self) -> PyResult<FormLimits> {
        let usual = FormLimits::default();
        let limits = usual.limits;
        Ok(FormLimits {
            limits: crate::multipart::Limits {
                max_parts: self.count("max_form_parts", limits.max_parts)?,
                max_part_head_bytes: self.count("max_form_head", limits.max_part_head_bytes)?,
                max_field_bytes: self.count("max_form_field", limits.max_field_bytes as usize)? as u64,
                max_file_bytes: self.count("max_form_file", limits.max_file_bytes as usize)? as u64,
            },
            spool_bytes: self.count("form_spool", usual.spool_bytes)?,
        })
    }

    /// When a route earns direct calls.
    pub(super) fn thresholds(&self) -> PyResult<Thresholds> {
        let usual = Thresholds::default();
        let after = self.count("direct_after", usual.after as usize)?;
        Ok(Thresholds {
            after: u32::try_from(after).unwrap_or(u32::MAX),
            under: self.seconds("direct_under", usual.under)?,
            over: self.seconds("direct_over", usual.over)?,
        })
    }

    fn flag(&self, name: &str) -> PyResult<bool> {
        self.item(name)?.map_or(Ok(false), |value| value.is_truthy())
    }

    /// Sockets, workers, limits, times.
    pub(super) fn runtime(&self) -> PyResult<RuntimeConfig> {
        let usual = RuntimeConfig::default();
        let (limits, times) = (Limits::default(), Timeouts::default());
        let port = self.count("port", 8000)?;
        let port = u16::try_from(port).map_err(|_| wrong("port", "0 to 65535"))?;
        let bind = match self.text("bind")?.as_deref() {
            None | Some("tcp") => {
                vec![Bind::Tcp(self.text("host")?.unwrap_or_else(|| "127.0.0.1".to_owned()), port)]
            }
            Some("uds") => vec![Bind::Uds(self.text("uds")?.unwrap_or_default().into())],
            Some("fd") => {
                let fds: Vec<i32> = match self.item("fds")? {
                    Some(fds) => fds.extract().map_err(|_| wrong("fds", "descriptors"))?,
                    None => Vec::new(),
                };
                fds.into_iter().map(Bind::Fd).collect()
            }
            Some(_) => return Err(wrong("bind", "tcp, uds or fd")),
        };
        let driver = match self.text("driver")?.as_deref() {
            None | Some("auto") => DriverChoice::Auto,
            Some("uring") => DriverChoice::Uring,
            Some("epoll") => DriverChoice::Epoll,
            Some(_) => return Err(wrong("driver", "auto, uring or epoll")),
        };
        Ok(RuntimeConfig {
            bind,
            workers: self.count("workers", usual.workers)?,
            driver,
            limits: Limits {
                max_head_bytes: self.count("max_head_bytes", limits.max_head_bytes)?,
                max_fields: self.count("max_fields", limits.max_fields)?,
                max_target_bytes: self.count("max_target_bytes", limits.max_target_bytes)?,
                max_body_bytes: self.count("max_body_bytes", limits.max_body_bytes as usize)? as u64,
            },
            timeouts: Timeouts {
                head: self.seconds("head_timeout", times.head)?,
                body: self.seconds("body_timeout", times.body)?,
                keep_alive: self.seconds("keep_alive_timeout", times.keep_alive)?,
                write: self.seconds("write_timeout", times.write)?,
                drain_grace: self.seconds("drain_grace", times.drain_grace)?,
            },
            backlog: self.count("backlog", usual.backlog as usize)?.min(u32::MAX as usize) as u32,
            max_connections: self.count("max_connections", usual.max_connections)?,
            max_in_flight: self.count("max_in_flight", usual.max_in_flight)?,
            offload_threads: self.count("offload_threads", usual.offload_threads)?,
            offload_queue: self.count("offload_queue", usual.offload_queue)?,
            uds_mode: self
                .item("uds_mode")?
                .map(|value| value.extract().map_err(|_| wrong("uds_mode", "permission bits")))
                .transpose()?,
            shares_listener: self.flag("shares_listener")?,
            half_close: self.flag("half_close")?,
            ..usual
        })
    }
}

pub(super) fn wrong(name: &str, allowed: &str) -> PyErr {
    ConfigError::new_err(format!("{name}: expected {allowed}"))
}
