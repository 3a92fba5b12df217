//! The certificates that our listeners show, out of files that may change while the server runs.
//!
//! Who renews a certificate need tell nobody: the files are looked at when a client connects, once a second at most, and
//! on a reload. A pair that is not usable changes nothing, and the log says why, once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::config::section::listen::KeyFiles;
use crate::core::clock::Moment;
use crate::core::file::blocking;
use crate::core::limits::TLS_FILE_BYTES;
use crate::core::offload::{Class, offload};
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::tls::server::{Fault, ServerSettings};

/// For how long a pair that was looked at is taken to be unchanged.
const FRESH: Duration = Duration::from_secs(1);

/// All pairs in use.
#[derive(Default)]
pub struct Certificates {
    pairs: RefCell<HashMap<KeyFiles, Rc<Pair>>>,
}

impl Certificates {
    /// Loads those of `wanted` that are not in use yet. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HttpsSslFile`] with directive, file and reason; then none is loaded.
    pub fn load(&self, wanted: &[KeyFiles]) -> Result<()> {
        let mut loaded = Vec::new();
        for files in wanted {
            if !self.pairs.borrow().contains_key(files) {
                let content = read(files)?;
                let pair = Pair::new(files.clone(), content.digest, content.parse()?);
                loaded.push((files.clone(), Rc::new(pair)));
            }
        }
        self.pairs.borrow_mut().extend(loaded);
        Ok(())
    }

    /// Forgets all but `wanted`.
    pub fn retain(&self, wanted: &[KeyFiles]) {
        self.pairs.borrow_mut().retain(|files, _| wanted.contains(files));
    }

    /// What to show to a client that connects now. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HttpsSslFile`] when they are not loaded.
    pub fn current(&self, files: &KeyFiles) -> Result<ServerSettings> {
        let pair = self.pairs.borrow().get(files).cloned();
        let pair = pair.ok_or_else(|| {
            let text = format!("{}: its certificate is not loaded", files.block);
            Error::new(ErrorCode::HttpsSslFile, text)
        })?;
        if Moment::now().since(pair.looked.get()) >= FRESH {
            pair.refresh();
        }
        Ok(pair.settings.borrow().clone())
    }

    /// Looks at all files now. Yields.
    pub fn refresh(&self) {
        let pairs: Vec<Rc<Pair>> = self.pairs.borrow().values().cloned().collect();
        pairs.iter().for_each(|pair| pair.refresh());
    }
}

struct Pair {
    files: KeyFiles,
    settings: RefCell<ServerSettings>,
    /// Of the files' content when it was last tried.
    tried: Cell<[u8; 32]>,
    looked: Cell<Moment>,
    complaint: RefCell<String>,
}

impl Pair {
    fn new(files: KeyFiles, digest: [u8; 32], settings: ServerSettings) -> Self {
        Pair {
            files,
            settings: RefCell::new(settings),
            tried: Cell::new(digest),
            looked: Cell::new(Moment::now()),
            complaint: RefCell::default(),
        }
    }

    /// Whoever comes while it looks goes on with what there is.
    fn refresh(&self) {
        self.looked.set(Moment::now());
        let content = match read(&self.files) {
            Ok(content) => content,
            Err(error) => return self.complain(&error),
        };
        if self.tried.replace(content.digest) == content.digest {
            return;
        }
        match content.parse() {
            Ok(settings) => {
                self.settings.replace(settings);
                self.complaint.borrow_mut().clear();
                log::info!("{}: the new certificate is in use", self.files.block);
            }
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&self, error: &Error) {
        let text = error.summary();
        if *self.complaint.borrow() != text {
            log::warn!("{text}; the certificate that was loaded before stays in use");
            self.complaint.replace(text);
        }
    }
}

/// What is in the two files.
struct Content<'f> {
    files: &'f KeyFiles,
    certificate: Vec<u8>,
    key: Vec<u8>,
    digest: [u8; 32],
}

fn read(files: &KeyFiles) -> Result<Content<'_>> {
    let (certificate, key) = (files.cert.clone(), files.key.clone());
    let job = move || {
        (
            blocking::read(&certificate, TLS_FILE_BYTES),
            blocking::read(&key, TLS_FILE_BYTES),
        )
    };
    let (certificate, key) = offload(Class::Disk, job).map_err(|unfinished| {
        let text = format!("{}: its certificate is not read: {unfinished}", files.block);
        Error::new(ErrorCode::HttpsSslFile, text)
    })?;
    let certificate = certificate.map_err(|cause| fault(files, "cert", &files.cert, &cause.to_string()))?;
    let key = key.map_err(|cause| fault(files, "key", &files.key, &cause.to_string()))?;
    let mut hasher = Sha256::new();
    hasher.update((certificate.len() as u64).to_be_bytes());
    hasher.update(&certificate);
    hasher.update(&key);
    Ok(Content {
        files,
        digest: hasher.finalize().into(),
        certificate,
        key,
    })
}

impl Content<'_> {
    fn parse(self) -> Result<ServerSettings> {
        let Content {
            files,
            certificate,
            key,
            ..
        } = self;
        let resumable = files.resumable;
        let parsed = offload(Class::Compute, move || {
            ServerSettings::from_pem(&certificate, &key, resumable)
        });
        match parsed {
            Ok(Ok(settings)) => Ok(settings),
            Ok(Err(Fault::Certificate(cause))) => Err(fault(files, "cert", &files.cert, &cause)),
            Ok(Err(Fault::Key(cause))) => Err(fault(files, "key", &files.key, &cause)),
            Err(unfinished) => Err(fault(files, "cert", &files.cert, &unfinished.to_string())),
        }
    }
}

fn fault(files: &KeyFiles, directive: &str, path: &Path, cause: &str) -> Error {
    let text = format!("{}.{directive} {}: {cause}", files.block, path.display());
    Error::new(ErrorCode::HttpsSslFile, text)
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::core::runtime::run;
    use crate::protocol::tls::tests::self_signed;

    struct Folder(PathBuf);

    impl Folder {
        fn new(label: &str) -> Self {
            let path = std::env::temp_dir().join(format!("srs-certificates-{label}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn files(&self) -> KeyFiles {
            KeyFiles {
                block: "rtmps",
                key: self.0.join("key"),
                cert: self.0.join("cert"),
                resumable: true,
            }
        }

        fn write(&self, pair: (&str, &str)) {
            fs::write(self.0.join("cert"), pair.0).unwrap();
            fs::write(self.0.join("key"), pair.1).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Whether both are the same ones in memory.
    fn is_same(certificates: &Certificates, before: &ServerSettings) -> bool {
        let pairs = certificates.pairs.borrow();
        pairs.values().all(|pair| pair.settings.borrow().is_same(before))
    }

    #[test]
    fn new_files_are_used_and_bad_ones_are_not() {
        run(|| {
            let folder = Folder::new("swap");
            let files = folder.files();
            let certificates = Certificates::default();
            let (first, second) = (self_signed("a.com"), self_signed("b.com"));
            folder.write((&first.0, &first.1));
            certificates.load(std::slice::from_ref(&files)).unwrap();
            let before = certificates.current(&files).unwrap();
            certificates.refresh();
            assert!(is_same(&certificates, &before));

            let complaint = || certificates.pairs.borrow()[&files].complaint.borrow().clone();
            fs::write(&files.cert, &second.0).unwrap();
            certificates.refresh();
            assert!(is_same(&certificates, &before));
            assert!(complaint().contains("rtmps.key") && complaint().contains("does not belong"));
            fs::remove_file(&files.key).unwrap();
            certificates.refresh();
            assert!(is_same(&certificates, &before));
            assert!(complaint().contains("rtmps.key") && complaint().contains("No such file"));
            fs::write(&files.key, &second.1).unwrap();
            certificates.refresh();
            assert!(!is_same(&certificates, &before));
            assert_eq!(complaint(), "");

            let after = certificates.current(&files).unwrap();
            folder.write((&first.0, &first.1));
            // Whoever connects right after it was looked at gets what was there then.
            certificates.current(&files).unwrap();
            assert!(is_same(&certificates, &after));
            crate::core::coroutine::sleep(FRESH);
            certificates.current(&files).unwrap();
            assert!(!is_same(&certificates, &after));

            certificates.retain(&[]);
            assert!(certificates.current(&files).is_err());
        })
        .unwrap();
    }

    #[test]
    fn a_missing_or_bad_file_names_directive_file_and_reason() {
        run(|| {
            let folder = Folder::new("bad");
            let files = folder.files();
            let certificates = Certificates::default();
            let load = || certificates.load(std::slice::from_ref(&files)).unwrap_err().summary();
            let missing = load();
            for part in ["4045", "rtmps.cert", "cert", "No such file"] {
                assert!(missing.contains(part), "{missing}");
            }
            folder.write(("no certificate", "no key"));
            assert!(load().contains("CERTIFICATE"), "{}", load());
            let (certificate, _) = self_signed("a.com");
            folder.write((&certificate, "no key"));
            assert!(
                load().contains("rtmps.key") && load().contains("PRIVATE KEY"),
                "{}",
                load()
            );
            folder.write((&"x".repeat(2 << 20), ""));
            assert!(load().contains("rtmps.cert"), "{}", load());
            assert!(certificates.pairs.borrow().is_empty());
        })
        .unwrap();
    }
}
