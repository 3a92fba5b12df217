//! Files that a vhost serves over HTTP.

use std::path::PathBuf;

use super::vhost::DEFAULT_VHOST;
use crate::app::config::scope::Scope;

/// The `http_static` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpStatic {
    /// Whether files are served.
    pub enabled: bool,
    /// Where: the vhost whose requests it is for, `None` for those of all, and the path, with a `/` at both ends.
    pub mount: (Option<String>, String),
    /// The folder behind it, from the working folder.
    pub dir: PathBuf,
}

impl HttpStatic {
    pub(crate) fn read(vhost: &str, files: &Scope<'_>) -> Self {
        HttpStatic {
            enabled: files.flag("enabled"),
            mount: read_mount(vhost, &files.text("mount")),
            dir: files.text("dir").into(),
        }
    }
}

/// `[vhost]` stands for the vhost's name, and what comes before the first `/` is the vhost that is meant; the default
/// one is every vhost.
fn read_mount(vhost: &str, mount: &str) -> (Option<String>, String) {
    let mount = mount.replace("[vhost]", vhost);
    let (host, path) = mount.split_once('/').unwrap_or((&mount, ""));
    let host = Some(host).filter(|host| !host.is_empty() && *host != DEFAULT_VHOST);
    let path = path.trim_matches('/');
    let path = if path.is_empty() {
        "/".to_owned()
    } else {
        format!("/{path}/")
    };
    (host.map(str::to_owned), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_name_vhost_and_path() {
        let mount = |vhost, text| {
            let (host, path) = read_mount(vhost, text);
            format!("{} {path}", host.as_deref().unwrap_or("*"))
        };
        assert_eq!(mount("v.com", "[vhost]/"), "v.com /");
        assert_eq!(mount("v.com", "[vhost]/vod"), "v.com /vod/");
        assert_eq!(mount("__defaultVhost__", "[vhost]/"), "* /");
        assert_eq!(mount("__defaultVhost__", "[vhost]/a/b/"), "* /a/b/");
        assert_eq!(mount("v.com", "/vod"), "* /vod/");
        assert_eq!(mount("v.com", "w.com"), "w.com /");
    }
}
