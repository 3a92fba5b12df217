//! Host names to addresses, by the system's resolver, off the thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use super::clock::Moment;
use super::coroutine;
use super::limits;
use super::offload::{Class, offload};
use super::sync::Condition;

/// How long an answer is believed; the system's interface does not tell the record's own time.
pub const ANSWER_LIFE: Duration = Duration::from_secs(30);

/// Addresses of `host` with `port`, in the system's order of preference, never none. Literal addresses (IPv6 with or
/// without brackets) are answered at once, names that were found less than [`ANSWER_LIFE`] ago too; equal questions
/// that are under way are asked once. Yields.
///
/// # Errors
/// `TimedOut` after `timeout` (the lookup goes on, and its answer helps the next one who asks), `InvalidInput` for an
/// empty or overlong name, `ConnectionAborted` on an interrupt, `ResourceBusy` when too many lookups are under way,
/// else the resolver's, whose text names the host.
pub fn resolve(host: &str, port: u16, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    thread_local! {
        static RESOLVER: Rc<Resolver> = Rc::new(Resolver::new(ask_system));
    }
    let addresses = RESOLVER.with(Rc::clone).resolve(host, timeout)?;
    Ok(addresses.into_iter().map(|address| (address, port).into()).collect())
}

/// Blocks as long as the name servers please.
fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

struct Resolver {
    lookup: Lookup,
    answers: RefCell<HashMap<String, Answer>>,
    questions: RefCell<HashMap<String, Rc<Question>>>,
}

struct Answer {
    addresses: Vec<IpAddr>,
    expires: Moment,
}

/// An error can be told to several.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// A lookup under way, and its result for those who wait.
#[derive(Default)]
struct Question {
    result: RefCell<Option<Found>>,
    done: Cell<bool>,
    answered: Condition,
}

impl Resolver {
    fn new(lookup: Lookup) -> Self {
        Resolver {
            lookup,
            answers: RefCell::default(),
            questions: RefCell::default(),
        }
    }

    fn resolve(self: Rc<Self>, host: &str, timeout: Duration) -> io::Result<Vec<IpAddr>> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        if host.is_empty() || host.len() > limits::DNS_NAME_BYTES {
            let text = format!("host name of {} bytes", host.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let name = host.to_ascii_lowercase();
        if let Some(answer) = self.answers.borrow().get(&name)
            && Moment::now() < answer.expires
        {
            return Ok(answer.addresses.clone());
        }
        let deadline = Moment::after(timeout);
        let question = self.ask(name)?;
        while !question.done.get() {
            coroutine::check_interrupt()?;
            if std::thread::panicking() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if Moment::now() >= deadline {
                let text = format!("look up {host}: no answer in {} ms", timeout.as_millis());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            question.answered.wait_until(deadline);
        }
        let result = question.result.borrow();
        match &*result {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err((kind, text))) => Err(io::Error::new(*kind, text.clone())),
            // `done` is set after the result.
            None => Err(io::Error::other("lookup without a result")),
        }
    }

    /// Joins the lookup of that name, or starts one. It has a coroutine of its own, so that those who wait may give up.
    fn ask(self: &Rc<Self>, name: String) -> io::Result<Rc<Question>> {
        if let Some(question) = self.questions.borrow().get(&name) {
            return Ok(question.clone());
        }
        if self.questions.borrow().len() >= limits::DNS_LOOKUPS {
            let text = format!("look up {name}: too many lookups");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let question = Rc::new(Question::default());
        self.questions.borrow_mut().insert(name.clone(), question.clone());
        let (resolver, asked) = (self.clone(), question.clone());
        coroutine::spawn("resolver", move || resolver.look_up(name, &asked));
        Ok(question)
    }

    fn look_up(&self, name: String, question: &Question) {
        let (lookup, host) = (self.lookup, name.clone());
        let result = match offload(Class::Resolver, move || lookup(&host)) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(io::Error::from(io::ErrorKind::NotFound)),
            Ok(result) => result,
            Err(unfinished) => Err(unfinished.into()),
        };
        if let Ok(addresses) = &result {
            self.remember(name.clone(), addresses.clone());
        }
        let result = result.map_err(|error| (error.kind(), format!("look up {name}: {error}")));
        question.result.replace(Some(result));
        question.done.set(true);
        self.questions.borrow_mut().remove(&name);
        question.answered.notify_all();
    }

    fn remember(&self, name: String, addresses: Vec<IpAddr>) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() >= limits::DNS_CACHE_NAMES {
            let now = Moment::now();
            answers.retain(|_, answer| now < answer.expires);
        }
        // All fresh: the cache serves those it has.
        if answers.len() < limits::DNS_CACHE_NAMES || answers.contains_key(&name) {
            let expires = Moment::after(ANSWER_LIFE);
            answers.insert(name, Answer { addresses, expires });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::core::coroutine::{sleep, spawn};
    use crate::core::runtime::run;

    const LONG: Duration = Duration::from_secs(20);
    const FOUND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn literals_need_no_resolver() {
        run(|| {
            let resolver = Rc::new(Resolver::new(|_| panic!("asked")));
            for (text, address) in [
                ("127.0.0.1", "127.0.0.1"),
                ("::1", "::1"),
                ("[::1]", "::1"),
                ("[2001:db8::7]", "2001:db8::7"),
            ] {
                let found = resolver.clone().resolve(text, Duration::ZERO).unwrap();
                assert_eq!(found, [address.parse::<IpAddr>().unwrap()]);
            }
            assert_eq!(
                resolve("[::1]", 1935, LONG).unwrap(),
                ["[::1]:1935".parse::<SocketAddr>().unwrap()]
            );
        })
        .unwrap();
    }

    #[test]
    fn the_system_knows_localhost_and_not_nonsense() {
        run(|| {
            let found = resolve("LocalHost", 80, LONG).unwrap();
            assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
            for name in ["", "a\0b", &"a".repeat(300)] {
                assert_eq!(resolve(name, 80, LONG).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            }
            // Reserved never to exist (RFC 6761, 6.4).
            let error = resolve("nothing.invalid", 80, LONG).unwrap_err();
            assert!(error.to_string().contains("nothing.invalid"));
        })
        .unwrap();
    }

    #[test]
    fn equal_questions_are_asked_once_and_answers_remembered() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        run(|| {
            let resolver = Rc::new(Resolver::new(|_| {
                ASKED.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(30));
                Ok(vec![FOUND])
            }));
            let askers: Vec<_> = (0..50)
                .map(|index| {
                    let resolver = resolver.clone();
                    let name = if index % 2 == 0 { "host.test" } else { "HOST.test" };
                    spawn("asker", move || resolver.resolve(name, LONG))
                })
                .collect();
            for asker in askers {
                assert_eq!(asker.join().unwrap().unwrap(), [FOUND]);
            }
            assert_eq!(resolver.clone().resolve("host.test", Duration::ZERO).unwrap(), [FOUND]);
            assert_eq!(ASKED.load(Ordering::SeqCst), 1);
            assert!(resolver.questions.borrow().is_empty());
        })
        .unwrap();
    }

    #[test]
    fn a_slow_answer_times_out_and_helps_the_next() {
        run(|| {
            let resolver = Rc::new(Resolver::new(|_| {
                std::thread::sleep(Duration::from_millis(500));
                Ok(vec![FOUND])
            }));
            let started = Moment::now();
            let error = resolver
                .clone()
                .resolve("slow.test", Duration::from_millis(10))
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(Moment::now().since(started) < Duration::from_millis(450));
            while !resolver.questions.borrow().is_empty() {
                sleep(Duration::from_millis(5));
            }
            assert_eq!(resolver.resolve("slow.test", Duration::ZERO).unwrap(), [FOUND]);
        })
        .unwrap();
    }

    #[test]
    fn failures_are_told_to_all_and_not_remembered() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        run(|| {
            let resolver = Rc::new(Resolver::new(|_| match ASKED.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(vec![]),
                1 => panic!("resolver bug"),
                _ => Ok(vec![FOUND]),
            }));
            let ask = || resolver.clone().resolve("host.test", LONG);
            assert_eq!(ask().unwrap_err().kind(), io::ErrorKind::NotFound);
            assert!(ask().unwrap_err().to_string().contains("resolver bug"));
            assert_eq!(ask().unwrap(), [FOUND]);
        })
        .unwrap();
    }

    #[test]
    fn the_cache_and_the_lookups_are_bounded() {
        run(|| {
            let resolver = Rc::new(Resolver::new(|_| Ok(vec![FOUND])));
            for index in 0..limits::DNS_CACHE_NAMES + 10 {
                resolver.clone().resolve(&format!("h{index}.test"), LONG).unwrap();
            }
            assert_eq!(resolver.answers.borrow().len(), limits::DNS_CACHE_NAMES);
            let hung = Rc::new(Resolver::new(|_| {
                std::thread::sleep(Duration::from_millis(20));
                Ok(vec![FOUND])
            }));
            let results: Vec<_> = (0..limits::DNS_LOOKUPS + 1)
                .map(|index| hung.clone().resolve(&format!("h{index}.test"), Duration::ZERO))
                .map(|result| result.unwrap_err().kind())
                .collect();
            assert_eq!(results[0], io::ErrorKind::TimedOut);
            assert_eq!(results[limits::DNS_LOOKUPS], io::ErrorKind::ResourceBusy);
        })
        .unwrap();
    }
}
