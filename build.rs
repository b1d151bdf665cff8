//! Tells the crate which CPython it is built for (`cfg(Py_GIL_DISABLED)` and friends).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();
}
