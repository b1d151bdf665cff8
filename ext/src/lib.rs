//! The extension module `turboapi_rs._core`: one file, so that the library itself stays an rlib.
