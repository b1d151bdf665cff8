//! Opening a file below a folder.
//!
//! Owns: [`Folder`]. Does not own: which names may be asked for (`name`).
//! Rule: the kernel itself holds every step below the folder (`openat2`, `RESOLVE_BENEATH`); where it cannot, each step is
//! opened by itself and no symbolic link is followed. Only regular files are given out.
//! Spec: openat2(2), Linux 5.6.

use super::answer::Representation;
use super::encoding::Coding;
use super::media_type::media_type;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that stay below the folder. Absolute ones do not, wherever they lead.
    #[default]
    Inside,
    /// None.
    Never,
    /// All: whoever may make a link below the folder chooses what is served.
    Anywhere,
}

impl Symlinks {
    /// By the name that Python has for it.
    ///
    /// # Errors
    /// Says that there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        match name {
            "inside" => Ok(Symlinks::Inside),
            "never" => Ok(Symlinks::Never),
            "anywhere" => Ok(Symlinks::Anywhere),
            _ => Err(format!("{name:?} is none of inside, never and anywhere")),
        }
    }
}

/// A folder whose files are served.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    symlinks: Symlinks,
}

/// Why there is nothing to be sent.
#[derive(Debug)]
pub enum OpenFault {
    /// No such file, or none that may be served: 404.
    NotFound,
    /// It is a folder.
    IsFolder,
    /// It may not be read: 403.
    Forbidden,
    /// Asked not to wait for the disk, and the answer is not in memory.
    WouldWait,
    /// The system failed: 500.
    Io(io::Error),
}

/// A file that was opened, and what is known of it.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// As it is to be answered.
    pub found: Representation,
}

impl Folder {
    /// Opens the folder itself.
    ///
    /// # Errors
    /// The system's: there is no such folder, or it may not be entered.
    pub fn open(path: &Path, symlinks: Symlinks) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Folder { fd, path: path.to_owned(), symlinks })
    }

    /// Its path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file by a path of plain names (`name::relative_path`), in the best of `codings` that there is.
    ///
    /// `may_wait`: false gives [`OpenFault::WouldWait`] where the disk would have to be asked.
    ///
    /// # Errors
    /// Why there is nothing to be sent.
    pub fn find(&self, path: &str, codings: &[Coding], may_wait: bool) -> Result<Opened, OpenFault> {
        // The plain file decides whether there is anything: its codings are nothing without it.
        let plain = self.open_file(path, may_wait)?;
        for &coding in codings {
            match self.open_file(&format!("{path}{}", coding.suffix()), may_wait) {
                Ok(file) => return opened(file, path, Some(coding)),
                Err(OpenFault::WouldWait) => return Err(OpenFault::WouldWait),
                Err(_) => {}
            }
        }
        opened(plain, path, None)
    }

    fn open_file(&self, path: &str, may_wait: bool) -> Result<File, OpenFault> {
        // Without NONBLOCK, opening a named pipe waits for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let path = if path.is_empty() { "." } else { path };
        let fd = match self.open_below(path, flags, may_wait) {
            Ok(fd) => fd,
            Err(error) => return Err(fault_of(error, may_wait)),
        };
        let file = File::from(fd);
        let kind = file.metadata().map_err(OpenFault::Io)?.file_type();
        match (kind.is_file(), kind.is_dir()) {
            (true, _) => Ok(file),
            (_, true) => Err(OpenFault::IsFolder),
            _ => Err(OpenFault::NotFound),
        }
    }

    #[cfg(target_os = "linux")]
    fn open_below(&self, path: &str, flags: OFlags, may_wait: bool) -> Result<OwnedFd, Errno> {
        use rustix::fs::ResolveFlags;
        let mut resolve = match self.symlinks {
            Symlinks::Inside => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            Symlinks::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Anywhere => ResolveFlags::empty(),
        };
        if !may_wait {
            resolve |= ResolveFlags::CACHED;
        }
        match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
            // Before Linux 5.6, or refused by a filter that does not know it. Before 5.12: no CACHED.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path, flags),
            Err(Errno::INVAL) if !may_wait => Err(Errno::AGAIN),
            // A rename or a mount at the same time: the kernel could not tell, and asks us to try again.
            Err(Errno::AGAIN) if may_wait => self.walk(path, flags),
            result => result,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_below(&self, path: &str, flags: OFlags, _may_wait: bool) -> Result<OwnedFd, Errno> {
        self.walk(path, flags)
    }

    /// Opens step by step, following no link unless all are to be followed.
    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.symlinks == Symlinks::Anywhere {
            return rustix::fs::openat(&self.fd, path, flags, Mode::empty());
        }
        let mut folder: Option<OwnedFd> = None;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let kind = if is_last { flags } else { OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY };
            let below = folder.as_ref().unwrap_or(&self.fd);
            folder = Some(rustix::fs::openat(below, part, kind | OFlags::NOFOLLOW, Mode::empty())?);
        }
        folder.ok_or(Errno::NOENT)
    }
}

fn fault_of(error: Errno, may_wait: bool) -> OpenFault {
    match error {
        Errno::AGAIN if !may_wait => OpenFault::WouldWait,
        // XDEV and LOOP: a link that leads out, or is not to be followed. NXIO: a socket.
        Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO => {
            OpenFault::NotFound
        }
        Errno::ACCESS | Errno::PERM => OpenFault::Forbidden,
        error => OpenFault::Io(error.into()),
    }
}

fn opened(file: File, path: &str, coding: Option<Coding>) -> Result<Opened, OpenFault> {
    let metadata = file.metadata().map_err(OpenFault::Io)?;
    let found = Representation {
        length: metadata.len(),
        // Before 1970 is as good as then.
        modified: u64::try_from(metadata.mtime()).unwrap_or(0),
        modified_nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        content_type: media_type(path),
        coding,
    };
    Ok(Opened { file, found })
}
