//! Headless Chromium, driven over the DevTools protocol through a pipe: messages are JSON, each with a zero byte behind it.
//!
//! `SRS_E2E_PICTURES=FOLDER` in the environment keeps the pictures that tests take of pages.

use std::cell::{Cell, RefCell};
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::program::tail;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
];
const ANSWER_SECONDS: u64 = 30;

/// A browser with one tab.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: RefCell<ChildStdin>,
    messages: Receiver<Value>,
    last_id: Cell<u64>,
    session: String,
    complaints: RefCell<Vec<String>>,
    output: PathBuf,
}

impl Browser {
    /// Starts it with an empty profile in `folder`.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let output = folder.join("chromium.out");
        let log = File::create(&output).expect("create the browser's log");
        let mut command = Command::new("sh");
        // Chromium reads from descriptor 3 and writes to 4.
        command.args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#, "sh", "chromium"]);
        command.args(FLAGS);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        let mut child = command
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("start a shell");
        let input = RefCell::new(child.stdin.take().expect("a pipe to the browser"));
        let mut from_browser = BufReader::new(child.stdout.take().expect("a pipe from the browser"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while from_browser.read_until(0, &mut bytes).is_ok_and(|count| count > 0) {
                let message = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes));
                if message.is_ok_and(|message| sender.send(message).is_err()) {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Browser {
            child,
            input,
            messages,
            last_id: Cell::new(0),
            session: String::new(),
            complaints: RefCell::default(),
            output,
        };
        browser.open_tab();
        browser
    }

    fn open_tab(&mut self) {
        let tab = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", target);
        self.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Calls a method of the protocol and gives its result.
    #[track_caller]
    pub fn call(&self, method: &str, parameters: Value) -> Value {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.input.borrow_mut().write_all(&bytes);
        assert!(
            sent.is_ok(),
            "chromium is gone; run scripts/clients.sh if it is not installed"
        );
        let deadline = Instant::now() + Duration::from_secs(ANSWER_SECONDS);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self.messages.recv_timeout(left);
            let answer = answer.unwrap_or_else(|e| {
                panic!("no answer to {method} ({e}); run scripts/clients.sh if chromium is not installed")
            });
            if answer["id"] == json!(id) {
                assert!(answer["error"].is_null(), "{method} is answered by {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    /// Keeps what a page complains about.
    fn note(&self, event: &Value) {
        let details = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => &details["exceptionDetails"],
            Some("Runtime.consoleAPICalled") if details["type"] == "error" => &details["args"],
            Some("Log.entryAdded") if details["entry"]["level"] == "error" => &details["entry"],
            _ => return,
        };
        self.complaints.borrow_mut().push(complaint.to_string());
    }

    /// Goes to an address and waits until the page is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.wait_for("document.readyState === 'complete'", 20);
    }

    /// The value of an expression (of what it promises, if it is a promise).
    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true
        });
        let result = self.call("Runtime.evaluate", parameters);
        let problem = &result["exceptionDetails"];
        assert!(problem.is_null(), "{expression}\nthrows {problem}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&self, expression: &str, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        // A page that is being left has no answer.
        while self.eval(&format!("Boolean({expression})")) != json!(true) {
            if Instant::now() >= deadline {
                let text = self.eval("document.body.innerText");
                let complaints = self.complaints.borrow().join("\n");
                panic!(
                    "waited {seconds} s in vain for {expression}; the page shows {text:#}\nand complains:\n{complaints}"
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The text of an element as it is shown.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText", json!(selector)));
        text.as_str()
            .unwrap_or_else(|| panic!("no element is {selector}"))
            .to_owned()
    }

    /// Clicks on the first element that fits, as a mouse does.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const element = document.querySelector({}); if (!element) return null; \
             const middle = () => {{ const box = element.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }}; \
             element.scrollIntoView({{ block: 'nearest' }}); \
             if (!element.contains(document.elementFromPoint(...middle()))) element.scrollIntoView({{ block: 'center' }}); \
             return middle(); }})()",
            json!(selector)
        ));
        assert!(place.is_array(), "no element is {selector}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks on a field and types into it, in place of what was there.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.click(selector);
        self.eval("document.activeElement.select()");
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Gives the page so much room; as on a phone or on a desk.
    pub fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Has the system look `light` or `dark`.
    pub fn set_appearance(&self, name: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": name});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Keeps a picture of the page, when somebody wants pictures.
    pub fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("SRS_E2E_PICTURES").map(PathBuf::from) else {
            return;
        };
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = STANDARD.decode(picture["data"].as_str().unwrap_or_default());
        fs::create_dir_all(&folder).expect("create the folder of pictures");
        fs::write(folder.join(name).with_extension("png"), data.expect("a picture")).expect("write a picture");
    }

    /// What the pages have complained about so far: errors on the console, exceptions, files that did not come.
    pub fn take_complaints(&self) -> Vec<String> {
        // What has come meanwhile waits behind an answer.
        self.eval("0");
        self.complaints.take()
    }

    /// Fails the test when a page complained.
    #[track_caller]
    pub fn assert_content(&self) {
        let complaints = self.take_complaints();
        assert!(complaints.is_empty(), "the page complains:\n{}", complaints.join("\n"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
        if thread::panicking() {
            let output = fs::read_to_string(&self.output).unwrap_or_default();
            eprintln!("---- output of chromium ----\n{}", tail(&output, 20));
        }
    }
}
