//! Links the targets that hold a Python interpreter, shared or static.

fn main() {
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
    #[cfg(feature = "python")]
    {
        let python = pyo3_build_config::get();
        if python.shared {
            if let Some(folder) = &python.lib_dir {
                println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{folder}");
            }
        } else {
            // Extension modules look the interpreter's symbols up in the program.
            println!("cargo:rustc-link-arg-bins=-rdynamic");
            for library in ["m", "dl", "util", "pthread"] {
                println!("cargo:rustc-link-lib={library}");
            }
        }
    }
}
