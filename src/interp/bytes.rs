//! Bytes that Python and the server share without a copy.
//!
//! Owns: `bytes` objects seen as [`Bytes`]. Rule: only exact, immutable `bytes` objects are shared.

use super::Held;
use bytes::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Length from which a `bytes` object is shared by reference rather than copied.
const SHARE_FROM: usize = crate::bytes_ext::OutBuf::SHARE_FROM;

struct BytesObject {
    owner: Held<PyBytes>,
}

impl AsRef<[u8]> for BytesObject {
    fn as_ref(&self) -> &[u8] {
        let object = self.owner.as_ptr();
        // SAFETY: `owner` keeps the exact `bytes` object alive, whose buffer and size never change.
        let data = unsafe { ffi::PyBytes_AS_STRING(object) };
        // SAFETY: as above; the size of a `bytes` object is written once, before anybody else can see it.
        let length = unsafe { ffi::Py_SIZE(object) };
        // SAFETY: `data` points at `length` initialised bytes which live as long as `owner`, hence as long as `self`.
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) }
    }
}

/// The contents of a `bytes` object: small ones copied, large ones by reference.
pub fn share_bytes(object: &Bound<'_, PyBytes>) -> Bytes {
    let data = object.as_bytes();
    if data.len() < SHARE_FROM || !object.is_exact_instance_of::<PyBytes>() {
        return Bytes::copy_from_slice(data);
    }
    Bytes::from_owner(BytesObject { owner: Held::new(object.clone().unbind()) })
}
