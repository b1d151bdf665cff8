//! What an upload is poured into: a file at a path, or the parts of a form.
//!
//! Owns: writing, spooling, limits of forms, removing what did not become whole. Does not own: where the bytes come from
//! (`upload`). Rule: on every way out but success nothing is left: a file gets its name when it is whole, files of forms
//! never have one. Threads: one thread at a time, which may wait for the disk.

use crate::multipart::{self, Event, Limits, Parser, PartHead, Violation};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// What may be wrong with an upload.
#[derive(Debug)]
pub enum UploadFault {
    /// The form is broken, or too large.
    Form(Violation),
    /// The disk refused it.
    Io(io::Error),
    /// The peer left before the body was whole.
    Disconnected,
}

impl From<io::Error> for UploadFault {
    fn from(error: io::Error) -> Self {
        UploadFault::Io(error)
    }
}

impl From<Violation> for UploadFault {
    fn from(violation: Violation) -> Self {
        UploadFault::Form(violation)
    }
}

/// Limits of forms, and what of them is held in memory.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// Of the syntax.
    pub limits: Limits,
    /// Bytes of a file that are held in memory; a larger one lies on disk. Starlette: 1 MiB.
    pub spool_bytes: usize,
}

impl Default for FormLimits {
    fn default() -> Self {
        FormLimits { limits: Limits::default(), spool_bytes: 1024 * 1024 }
    }
}

/// The content of one part.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file without a name, and how long it is.
    Disk(File, u64),
}

/// One part of a form.
#[derive(Debug)]
pub struct Part {
    /// Its names and fields.
    pub head: PartHead,
    /// What was sent.
    pub content: Content,
}

/// Where an upload goes.
#[derive(Debug)]
pub enum Sink {
    /// A file.
    Saved(Saving),
    /// The parts of a form.
    Form(Box<Form>),
    /// Memory.
    Memory(Vec<u8>),
}

/// What an upload became.
#[derive(Debug)]
pub enum Poured {
    /// So many bytes of a file.
    Saved(u64),
    /// The parts of a form, in order.
    Form(Vec<Part>),
    /// All of it.
    Memory(Vec<u8>),
}

impl Sink {
    /// A sink for a form of this content type.
    ///
    /// # Errors
    /// It has no boundary.
    pub fn form(content_type: &[u8], limits: FormLimits) -> Result<Self, Violation> {
        let parser = Parser::new(&multipart::boundary_of(content_type)?, limits.limits);
        let form =
            Form { parser, input: BytesMut::new(), parts: Vec::new(), spool_bytes: limits.spool_bytes };
        Ok(Sink::Form(Box::new(form)))
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// The disk's, or the form's.
    pub fn take(&mut self, piece: &Bytes) -> Result<(), UploadFault> {
        match self {
            Sink::Saved(saving) => Ok(saving.write(piece)?),
            Sink::Form(form) => form.take(piece),
            Sink::Memory(all) => {
                all.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The upload is whole.
    ///
    /// # Errors
    /// The disk's; or the form is not whole.
    pub fn finish(self) -> Result<Poured, UploadFault> {
        match self {
            Sink::Saved(saving) => Ok(Poured::Saved(saving.finish()?)),
            Sink::Form(form) => form.finish(),
            Sink::Memory(all) => Ok(Poured::Memory(all)),
        }
    }
}

/// A file that gets its name when it is whole.
#[derive(Debug)]
pub struct Saving {
    path: PathBuf,
    /// Beside `path`, so that renaming moves nothing. Made at the first write.
    partial: Option<(PathBuf, File)>,
    bytes: u64,
}

impl Saving {
    /// To become `path`, in place of what may be there.
    pub fn new(path: PathBuf) -> Self {
        Saving { path, partial: None, bytes: 0 }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.partial.is_none() {
            let mut name = std::ffi::OsString::from(".");
            name.push(self.path.file_name().unwrap_or_default());
            name.push(format!(".{:016x}.part", RandomState::new().hash_one(0_u8)));
            let partial = self.path.with_file_name(name);
            let file = File::options().write(true).create_new(true).open(&partial)?;
            self.partial = Some((partial, file));
        }
        match &mut self.partial {
            Some((_, file)) => Ok(file),
            None => Err(io::Error::other("no file was made")),
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file()?.write_all(piece)?;
        self.bytes += piece.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        self.file()?;
        if let Some((partial, _)) = &self.partial {
            std::fs::rename(partial, &self.path)?;
        }
        self.partial = None;
        Ok(self.bytes)
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if let Some((partial, _)) = self.partial.take() {
            remove(&partial);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        log::warn!("{}: {error}", path.display());
    }
}

/// A form that is being read.
#[derive(Debug)]
pub struct Form {
    parser: Parser,
    input: BytesMut,
    parts: Vec<Part>,
    spool_bytes: usize,
}

impl Form {
    fn take(&mut self, piece: &Bytes) -> Result<(), UploadFault> {
        self.input.extend_from_slice(piece);
        loop {
            match self.parser.next_event(&mut self.input)? {
                Event::NeedMore | Event::End => return Ok(()),
                Event::Part(head) => self.parts.push(Part { head, content: Content::Memory(Vec::new()) }),
                Event::Data(data) => {
                    if let Some(part) = self.parts.last_mut() {
                        part.content
                            .append(&data, part.head.filename.is_some().then_some(self.spool_bytes))?;
                    }
                }
                Event::PartEnd => {
                    if let Some(Part { content: Content::Disk(file, _), .. }) = self.parts.last_mut() {
                        file.rewind()?;
                    }
                }
            }
        }
    }

    fn finish(self) -> Result<Poured, UploadFault> {
        self.parser.finish()?;
        Ok(Poured::Form(self.parts))
    }
}

impl Content {
    /// Appends; what would be more than `spool_bytes` goes to disk.
    fn append(&mut self, data: &[u8], spool_bytes: Option<usize>) -> io::Result<()> {
        match self {
            Content::Memory(held) if spool_bytes.is_some_and(|most| held.len() + data.len() > most) => {
                let mut file = nameless_file()?;
                file.write_all(held)?;
                file.write_all(data)?;
                *self = Content::Disk(file, (held.len() + data.len()) as u64);
            }
            Content::Memory(held) => held.extend_from_slice(data),
            Content::Disk(file, length) => {
                file.write_all(data)?;
                *length += data.len() as u64;
            }
        }
        Ok(())
    }
}

/// A file that nobody else can open, and that is gone when it is closed, however the process ends.
fn nameless_file() -> io::Result<File> {
    let folder = std::env::temp_dir();
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
        // Not every filesystem can.
        if let Ok(fd) = rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR) {
            return Ok(fd.into());
        }
    }
    let path = folder.join(format!("turboapi-{:016x}", RandomState::new().hash_one(0_u8)));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    remove(&path);
    Ok(file)
}
