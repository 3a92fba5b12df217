//! Giving up the rights of root: another user's account, and another root of the file system.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{
    self, Gid, Group, Uid, User, chroot, getegid, geteuid, getgrouplist, getgroups, setegid, seteuid, setgroups,
    setresgid, setresuid,
};

/// A user of the system, with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, or its number where it has none.
    pub name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Account {
    /// The user of this name or number, in its own group or another of that name or number. Asks the system's databases,
    /// which blocks.
    ///
    /// # Errors
    /// `NotFound` with what is not known; a number without an account needs a group.
    pub fn find(user: &str, group: Option<&str>) -> io::Result<Self> {
        let known = match User::from_name(user)? {
            Some(known) => Some(known),
            None => number(user).and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten()),
        };
        let uid = known.as_ref().map(|user| user.uid).or(number(user).map(Uid::from_raw));
        let uid = uid.ok_or_else(|| missing(format!("no user {user}")))?;
        let own_group = known.as_ref().map(|user| user.gid);
        let gid = match group {
            Some(group) => Group::from_name(group)?
                .map(|group| group.gid)
                .or(number(group).map(Gid::from_raw)),
            None => own_group,
        };
        let gid = gid.ok_or_else(|| match group {
            Some(group) => missing(format!("no group {group}")),
            None => missing(format!("no user {user}, so its group must be named")),
        })?;
        let groups = match &known {
            Some(user) => getgrouplist(&CString::new(user.name.as_str())?, gid)?,
            None => vec![gid],
        };
        Ok(Account {
            name: known.map_or_else(|| user.to_owned(), |user| user.name),
            uid,
            gid,
            groups,
        })
    }

    /// Its number.
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// The number of its group.
    pub fn gid(&self) -> u32 {
        self.gid.as_raw()
    }

    /// Whether the process runs as it already.
    pub fn is_current(&self) -> bool {
        geteuid() == self.uid && getegid() == self.gid
    }

    /// Does something with its rights to files, then is root again; for a process that has no other threads yet.
    ///
    /// # Errors
    /// The system's; when root's rights do not come back, the process is of no use any more.
    pub fn act<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        if self.is_current() {
            return Ok(act());
        }
        let (uid, gid, groups) = (geteuid(), getegid(), getgroups()?);
        setgroups(&self.groups)?;
        setegid(self.gid)?;
        seteuid(self.uid)?;
        let done = act();
        seteuid(uid)?;
        setegid(gid)?;
        setgroups(&groups)?;
        Ok(done)
    }

    /// Makes the process run as it for good, with all its threads (the C library sees to those). The kernel takes all
    /// capabilities away with that.
    ///
    /// # Errors
    /// The system's, or that root's rights can still be had.
    pub fn take_over(&self) -> io::Result<()> {
        if self.is_current() {
            return Ok(());
        }
        setgroups(&self.groups)?;
        setresgid(self.gid, self.gid, self.gid)?;
        setresuid(self.uid, self.uid, self.uid)?;
        if !self.uid.is_root() && unistd::setuid(Uid::from_raw(0)).is_ok() {
            return Err(io::Error::other("the rights of root are still there"));
        }
        Ok(())
    }
}

fn missing(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn number(text: &str) -> Option<u32> {
    // The highest one means "no change" to the system.
    text.parse().ok().filter(|number| *number != u32::MAX)
}

/// Whether the process has root's rights.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Makes a folder the root of the file system for this process. It stays in its working folder if that is inside, else it
/// goes to the new root. Gives the folder as it was before, without links.
///
/// # Errors
/// The system's: `NotFound`, `PermissionDenied` without root's rights.
pub fn change_root(folder: &Path) -> io::Result<PathBuf> {
    let root = folder.canonicalize()?;
    let current = std::env::current_dir()?.canonicalize()?;
    let inside = current.strip_prefix(&root).map(Path::to_owned).unwrap_or_default();
    chroot(&root)?;
    // A working folder outside would be a way out.
    std::env::set_current_dir(Path::new("/").join(inside))?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_and_number() {
        let root = Account::find("root", None).unwrap();
        assert_eq!((root.name.as_str(), root.uid(), root.gid()), ("root", 0, 0));
        assert_eq!(Account::find("0", None).unwrap(), root);
        let stranger = Account::find("4000000001", Some("4000000002")).unwrap();
        assert_eq!((stranger.uid(), stranger.gid()), (4_000_000_001, 4_000_000_002));
        assert_eq!(stranger.groups, [Gid::from_raw(4_000_000_002)]);
        for (user, group) in [
            ("no-such-user", None),
            ("4000000001", None),
            ("root", Some("no-such-group")),
            ("4294967295", Some("0")),
            ("-1", Some("0")),
            ("", None),
        ] {
            let error = Account::find(user, group).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{user} {group:?}");
        }
    }

    #[test]
    fn a_missing_folder_is_no_root() {
        assert_eq!(
            change_root(Path::new("/nonexistent/root")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
