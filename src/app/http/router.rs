//! Which handler answers a request, by vhost and path.

use std::rc::Rc;

use super::exchange::Exchange;
use crate::kernel::error::Result;
use crate::protocol::http::percent;
use crate::protocol::http::response::ResponseHead;
use crate::protocol::http::status::Status;

/// Whether a handler took a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// It was answered.
    Yes,
    /// It is not for this handler, which has neither answered nor read the body: the next one is asked.
    Pass,
}

/// Something that answers requests.
pub trait Handler {
    /// Answers a request, or passes. Yields.
    ///
    /// # Errors
    /// What ends the connection at once, without an answer if there was none yet.
    fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<Served>;
}

/// Handlers and what they are for.
#[derive(Default)]
pub struct Router {
    /// Those of a vhost before those of all, then longer paths first; of two equal ones the earlier added.
    routes: Vec<Route>,
    /// Asked before all of them.
    first: Vec<Rc<dyn Handler>>,
}

struct Route {
    vhost: Option<String>,
    path: String,
    handler: Rc<dyn Handler>,
}

impl Router {
    /// Adds a handler for the requests to `vhost`, or to all of them, at `path`: itself, and if it ends in `/`
    /// everything below.
    pub fn add(&mut self, vhost: Option<String>, path: impl Into<String>, handler: Rc<dyn Handler>) {
        let route = Route {
            vhost,
            path: path.into(),
            handler,
        };
        let rank = |route: &Route| (route.vhost.is_some(), route.path.len());
        let at = self.routes.partition_point(|other| rank(other) >= rank(&route));
        self.routes.insert(at, route);
    }

    /// Adds a handler that is asked about every request before those that are added for a path.
    pub fn add_first(&mut self, handler: Rc<dyn Handler>) {
        self.first.push(handler);
    }

    /// Whether something is added for exactly this.
    pub fn contains(&self, vhost: Option<&str>, path: &str) -> bool {
        self.routes
            .iter()
            .any(|route| route.vhost.as_deref() == vhost && route.path == path)
    }

    /// Has the request answered: by a handler, by a redirection to the path with a `/` where only that one is known,
    /// or with status 404. Yields.
    ///
    /// # Errors
    /// As [`Handler::serve`].
    pub fn serve(&self, exchange: &mut Exchange<'_, '_>) -> Result<()> {
        for handler in &self.first {
            if handler.serve(exchange)? == Served::Yes {
                return Ok(());
            }
        }
        for route in self.matching(exchange) {
            if route.path.len() > exchange.request.path.len() {
                return redirect_to_folder(exchange);
            }
            if route.handler.serve(exchange)? == Served::Yes {
                return Ok(());
            }
        }
        exchange.reply_status(Status::NOT_FOUND)
    }

    fn matching(&self, exchange: &Exchange<'_, '_>) -> Vec<&Route> {
        let vhost = exchange.vhost.as_ref().map(|vhost| vhost.name.as_str());
        let path = exchange.request.path.as_str();
        let fits =
            |route: &&Route| (route.vhost.is_none() || route.vhost.as_deref() == vhost) && matches(&route.path, path);
        self.routes.iter().filter(fits).collect()
    }
}

/// Whether a route is for a path, or for the path with a `/` behind it.
fn matches(route: &str, path: &str) -> bool {
    match route.strip_suffix('/') {
        Some(folder) => path.starts_with(route) || (path == folder && !folder.is_empty()),
        None => route == path,
    }
}

/// Sends the peer to its path with a `/` behind it, so that relative links of the page there are right.
///
/// # Errors
/// As [`Exchange::reply`].
pub fn redirect_to_folder(exchange: &mut Exchange<'_, '_>) -> Result<()> {
    // A resolved path does not begin with two slashes, so this never names another host.
    let mut location = percent::encode_path(&exchange.request.path) + "/";
    let text = format!("Redirect to {location}");
    if !exchange.request.query.is_empty() {
        location = format!("{location}?{}", exchange.request.query.raw());
    }
    let head = ResponseHead::new(Status::FOUND)
        .with("Location", location)
        .with("Content-Type", "text/plain; charset=utf-8");
    exchange.reply(head, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Handler for Nothing {
        fn serve(&self, _: &mut Exchange<'_, '_>) -> Result<Served> {
            Ok(Served::Pass)
        }
    }

    #[test]
    fn routes_stand_in_the_order_in_which_they_are_asked() {
        let mut router = Router::default();
        for (vhost, path) in [
            (None, "/"),
            (Some("v"), "/"),
            (None, "/api/v1/"),
            (Some("v"), "/a/"),
            (None, "/api/"),
        ] {
            router.add(vhost.map(str::to_owned), path, Rc::new(Nothing));
        }
        let order: Vec<_> = router
            .routes
            .iter()
            .map(|route| (route.vhost.as_deref(), route.path.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                (Some("v"), "/a/"),
                (Some("v"), "/"),
                (None, "/api/v1/"),
                (None, "/api/"),
                (None, "/")
            ]
        );
        assert!(router.contains(None, "/") && !router.contains(None, "/a/"));
    }

    #[test]
    fn a_path_with_a_slash_covers_what_is_below() {
        assert!(matches("/", "/") && matches("/", "/a/b") && matches("/a/", "/a/b") && matches("/a/", "/a"));
        assert!(!matches("/a/", "/ab") && !matches("/a", "/a/") && !matches("/a", "/a/b") && !matches("/", ""));
    }
}
