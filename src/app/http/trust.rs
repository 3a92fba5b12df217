//! Which servers are believed that we call over TLS.

use std::cell::{Cell, RefCell};

use crate::core::authorities;
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::tls::client::ClientSettings;

/// What `tls_verify` says, and what follows from it.
#[derive(Default)]
pub struct Trust {
    verify: Cell<bool>,
    settings: RefCell<Option<ClientSettings>>,
    warned: Cell<bool>,
}

impl Trust {
    /// Whether servers are verified from now on, by the authorities that the system knows by then.
    pub fn set(&self, verify: bool) {
        self.verify.set(verify);
        self.settings.take();
    }

    /// For a call. Yields.
    ///
    /// # Errors
    /// [`ErrorCode::HttpsNotSupported`] in a build without TLS, [`ErrorCode::HttpsSslFile`] when the system has no
    /// authorities.
    pub fn settings(&self) -> Result<ClientSettings> {
        if let Some(settings) = self.settings.borrow().clone() {
            return Ok(settings);
        }
        if !cfg!(feature = "tls") {
            let text = "this server is built without the feature tls";
            return Err(Error::new(ErrorCode::HttpsNotSupported, text));
        }
        let verify = self.verify.get();
        let settings = if verify {
            let found = authorities::system();
            let what = || "tls_verify: find the authorities of the system".into();
            ClientSettings::trusting(found.io_wrap(ErrorCode::HttpsSslFile, what)?)
        } else {
            self.warn();
            ClientSettings::trusting_all()
        };
        let settings = settings.map_err(|cause| Error::new(ErrorCode::HttpsSslFile, format!("tls_verify: {cause}")))?;
        // A reload may have changed it meanwhile.
        if self.verify.get() == verify {
            self.settings.replace(Some(settings.clone()));
        }
        Ok(settings)
    }

    fn warn(&self) {
        if !self.warned.replace(true) {
            log::warn!(
                "tls_verify is off: servers that are called over https may show any certificate, as with SRS; \
                 see docs/tls.md"
            );
        }
    }
}
