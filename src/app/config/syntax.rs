//! The language's text, turned into a tree: directives, blocks, included files.
//!
//! Nothing here knows a directive's name but `include`. The grammar is documented in `docs/config.md`.

use std::io;
use std::path::{Component, Path};
use std::rc::Rc;

use super::diagnostic::{Fault, Warning};
pub use super::lexer::Word;
use super::lexer::{End, Lexer, Statement};
use super::place::{Place, Source};
use crate::core::limits;
use crate::kernel::error_code::ErrorCode;

/// How a file's bytes are got; a reload passes one that reads off the thread.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// A name, its arguments, and its block when it has one.
#[derive(Clone, Debug)]
pub struct Directive {
    /// The first word.
    pub name: Word,
    /// The words after the name.
    pub args: Vec<Word>,
    /// The directives between the braces; `None` when the directive ends with a semicolon.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    /// The first argument, `None` when there is none.
    pub fn arg(&self) -> Option<&Word> {
        self.args.first()
    }

    /// The first argument's text, empty when there is none.
    pub fn arg_text(&self) -> &str {
        self.arg().map_or("", |word| word.text.as_str())
    }

    /// The directives inside, none for a directive that ends with a semicolon.
    pub fn children(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The first directive of that name inside.
    pub fn get(&self, name: &str) -> Option<&Directive> {
        find(self.children(), name)
    }

    /// Whether the other one says the same, wherever it stands; a reload acts on what differs.
    pub fn same_as(&self, other: &Directive) -> bool {
        let same_args = self
            .args
            .iter()
            .map(|arg| &arg.text)
            .eq(other.args.iter().map(|arg| &arg.text));
        self.name.text == other.name.text
            && same_args
            && self.block.is_some() == other.block.is_some()
            && same_blocks(self.children(), other.children())
    }
}

/// The first directive of that name; later ones of the same name have no effect.
pub fn find<'a>(block: &'a [Directive], name: &str) -> Option<&'a Directive> {
    block.iter().find(|directive| directive.name.text == name)
}

/// Whether two blocks say the same, in the same order, wherever they stand.
pub fn same_blocks(one: &[Directive], other: &[Directive]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.same_as(b))
}

/// A configuration as it was written, with includes in place.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The directives outside all blocks.
    pub root: Vec<Directive>,
    /// The main file as a whole, for faults that stand nowhere in it.
    pub place: Place,
}

/// Parses the bytes of the main file; `path` names it in messages, `read_file` gets the files that it includes.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] for text that is no configuration, for include cycles and for what passes a bound of
/// `core::limits`; [`ErrorCode::FileOpen`] for an included file that cannot be read.
pub fn parse(path: &str, text: Vec<u8>, read_file: ReadFile<'_>) -> Result<(Tree, Vec<Warning>), Fault> {
    let source = Source::new(path, text);
    let place = Place::File(source.clone());
    let mut parser = Parser {
        read_file,
        open: vec![path.to_owned()],
        includes: 0,
        bytes: 0,
        directives: 0,
        warnings: Vec::new(),
    };
    let mut root = Vec::new();
    parser.file(&source, &place, 0, &mut root)?;
    Ok((Tree { root, place }, parser.warnings))
}

struct Parser<'a> {
    read_file: ReadFile<'a>,
    /// The files being parsed, outermost first.
    open: Vec<String>,
    includes: usize,
    bytes: u64,
    directives: usize,
    warnings: Vec<Warning>,
}

impl Parser<'_> {
    fn file(
        &mut self,
        source: &Rc<Source>,
        asked: &Place,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        let bytes = source.text().len() as u64;
        self.bytes = self.bytes.saturating_add(bytes);
        if bytes > limits::CONFIG_FILE_BYTES || self.bytes > limits::CONFIG_TOTAL_BYTES {
            let message = format!(
                "\"{}\" makes the configuration too large ({} bytes)",
                source.path(),
                self.bytes
            );
            return Err(Fault::at(asked, message));
        }
        if std::str::from_utf8(source.text()).is_err() {
            let message = "the file is not UTF-8; other bytes are replaced in names and values";
            self.warnings.push(Warning::at(&Place::File(source.clone()), message));
        }
        let mut lexer = Lexer::new(source.clone());
        self.block(&mut lexer, None, depth, into)
    }

    /// Reads directives up to the end of the file, or of the block that `opener` began.
    fn block(
        &mut self,
        lexer: &mut Lexer,
        opener: Option<&Word>,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        loop {
            let statement = lexer.statement()?;
            match (statement.end, opener) {
                (End::File, None) | (End::Close, Some(_)) => return Ok(()),
                (End::File, Some(opener)) => {
                    let message = format!("unexpected end of file inside block \"{}\"", opener.text);
                    let hint = format!("the block opened at {} needs a \"}}\"", opener.place);
                    return Err(Fault::at(&statement.place, message).with_hint(hint));
                }
                (End::Close, None) => {
                    return Err(Fault::at(
                        &statement.place,
                        "unexpected \"}\": no block is open in this file here",
                    ));
                }
                (End::Semicolon | End::Open, _) => self.directive(lexer, statement, depth, into)?,
            }
        }
    }

    fn directive(
        &mut self,
        lexer: &mut Lexer,
        statement: Statement,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        let mut words = statement.words.into_iter();
        let Some(name) = words.next() else {
            return Err(Fault::at(&statement.place, "a directive needs a name"));
        };
        let args: Vec<Word> = words.collect();
        if name.text == "include" {
            if matches!(statement.end, End::Open) {
                return Err(Fault::at(
                    &statement.place,
                    "\"include\" has no block; end it with \";\"",
                ));
            }
            return self.include(&name, &args, depth, into);
        }
        self.directives += 1;
        if self.directives > limits::CONFIG_DIRECTIVES {
            let message = format!("more than {} directives", limits::CONFIG_DIRECTIVES);
            return Err(Fault::at(&name.place, message));
        }
        let mut block = None;
        if matches!(statement.end, End::Open) {
            if depth >= limits::CONFIG_BLOCK_DEPTH {
                let message = format!("blocks nest deeper than {}", limits::CONFIG_BLOCK_DEPTH);
                return Err(Fault::at(&name.place, message));
            }
            let mut children = Vec::new();
            self.block(lexer, Some(&name), depth + 1, &mut children)?;
            block = Some(children);
        }
        into.push(Directive { name, args, block });
        Ok(())
    }

    fn include(&mut self, name: &Word, files: &[Word], depth: usize, into: &mut Vec<Directive>) -> Result<(), Fault> {
        if files.is_empty() {
            return Err(Fault::at(&name.place, "\"include\" needs the name of a file"));
        }
        for file in files {
            self.check_include(file)?;
            let text = (self.read_file)(Path::new(&file.text)).map_err(|cause| {
                let message = format!("cannot read included file \"{}\": {cause}", file.text);
                Fault::at(&file.place, message).with_code(ErrorCode::FileOpen)
            })?;
            let source = Source::new(file.text.clone(), text);
            self.open.push(file.text.clone());
            self.file(&source, &file.place, depth, into)?;
            self.open.pop();
        }
        Ok(())
    }

    fn check_include(&mut self, file: &Word) -> Result<(), Fault> {
        self.includes += 1;
        if self.includes > limits::CONFIG_INCLUDES {
            let message = format!("more than {} files are included", limits::CONFIG_INCLUDES);
            return Err(Fault::at(&file.place, message));
        }
        if self.open.iter().any(|open| same_path(open, &file.text)) {
            let chain = format!("{} -> {}", self.open.join(" -> "), file.text);
            return Err(Fault::at(&file.place, format!("files include each other: {chain}")));
        }
        if self.open.len() > limits::CONFIG_INCLUDE_DEPTH {
            let chain = format!("{} -> {}", self.open.join(" -> "), file.text);
            let message = format!(
                "files include each other deeper than {}: {chain}",
                limits::CONFIG_INCLUDE_DEPTH
            );
            return Err(Fault::at(&file.place, message));
        }
        Ok(())
    }
}

fn same_path(one: &str, other: &str) -> bool {
    let plain = |path| Path::new(path).components().filter(|part| *part != Component::CurDir);
    plain(one).eq(plain(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_files(_: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn tree(text: &[u8]) -> Vec<Directive> {
        parse("a.conf", text.to_vec(), &no_files).unwrap().0.root
    }

    fn cause(text: &[u8], read_file: ReadFile<'_>) -> String {
        parse("a.conf", text.to_vec(), read_file)
            .map(drop)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn words_keep_their_text_and_place() {
        let root = tree("# é\n\tname \"a b\" 'ü' c}#\"; block { x; }".as_bytes());
        let words: Vec<String> = std::iter::once(&root[0].name)
            .chain(&root[0].args)
            .map(|word| format!("{} {}", word.place, word.text))
            .collect();
        let expected = [
            "a.conf:2:2 name",
            "a.conf:2:7 a b",
            "a.conf:2:13 ü",
            "a.conf:2:17 c}#\"",
        ];
        assert_eq!(words, expected);
        assert_eq!(root[1].get("x").unwrap().name.place.to_string(), "a.conf:2:31");
        assert!(root[1].get("y").is_none() && root[0].block.is_none());
    }

    #[test]
    fn an_included_word_keeps_its_own_file() {
        let read = |_: &Path| Ok(b"\n  x;".to_vec());
        let (tree, _) = parse("a.conf", b"block { include b.conf c.conf; }".to_vec(), &read).unwrap();
        let places: Vec<String> = tree.root[0]
            .children()
            .iter()
            .map(|x| x.name.place.to_string())
            .collect();
        assert_eq!(places, ["b.conf:2:3", "c.conf:2:3"]);
    }

    #[test]
    fn trees_are_compared_by_text_alone() {
        let same = |one: &str, other: &str| same_blocks(&tree(one.as_bytes()), &tree(other.as_bytes()));
        assert!(same("a 1; b { c; }", "a\n1;\n# x\nb {\n'c' ;}"));
        for other in [
            "a 1;",
            "a 2; b { c; }",
            "a 1; b { d; }",
            "a 1; b c;",
            "b { c; } a 1;",
            "a 1 1; b { c; }",
        ] {
            assert!(!same("a 1; b { c; }", other), "{other}");
        }
        assert!(!same("a;", "a { }"));
    }

    #[test]
    fn blocks_and_includes_are_bounded() {
        let deep = |levels: usize| [b"a {".repeat(levels), b"}".repeat(levels)].concat();
        assert_eq!(tree(&deep(limits::CONFIG_BLOCK_DEPTH)).len(), 1);
        assert!(cause(&deep(limits::CONFIG_BLOCK_DEPTH + 1), &no_files).contains("nest deeper"));
        // Each file includes the next one.
        let chain = |last: usize| {
            move |path: &Path| {
                let number: usize = path.to_str().unwrap_or_default().parse().unwrap_or_default();
                let next = if number < last {
                    format!("include {};", number + 1)
                } else {
                    "x;".to_owned()
                };
                Ok(next.into_bytes())
            }
        };
        let include = b"include 1;".to_vec();
        assert_eq!(
            parse("a.conf", include.clone(), &chain(limits::CONFIG_INCLUDE_DEPTH))
                .unwrap()
                .0
                .root
                .len(),
            1
        );
        let too_deep = cause(&include, &chain(limits::CONFIG_INCLUDE_DEPTH + 1));
        assert!(too_deep.contains("deeper than 32: a.conf -> 1 -> 2 -> "), "{too_deep}");
        // Each file includes the next one twice: the number of files doubles with each level.
        let doubling = |path: &Path| {
            let number: usize = path.to_str().unwrap_or_default().parse().unwrap_or_default();
            Ok(format!("include {0} {0};", number + 1).into_bytes())
        };
        let doubled = cause(b"include 1;", &doubling);
        assert!(
            doubled.contains("deeper than") || doubled.contains("files are included"),
            "{doubled}"
        );
    }

    #[test]
    fn sizes_are_bounded() {
        let most = usize::try_from(limits::CONFIG_FILE_BYTES).unwrap();
        assert!(cause(&vec![b' '; most + 1], &no_files).contains("too large"));
        let large = |_: &Path| Ok(vec![b' '; most]);
        assert!(cause(b"include b c d e;", &large).contains("\"e\" makes the configuration too large"));
        let many = b"a;".repeat(limits::CONFIG_DIRECTIVES + 1);
        assert!(cause(&many, &no_files).contains("directives"));
    }

    #[test]
    fn every_prefix_has_an_answer() {
        let text = "listen 1935 \"a b\" 'c';\r\nvhost é {\n# x\n\tplay { gop_cache on; }\n include b.conf;\n}\n";
        let read = |_: &Path| Ok(b"x 1;".to_vec());
        let mut accepted = 0;
        for end in 0..=text.len() {
            let prefix = text.as_bytes()[..end].to_vec();
            accepted += usize::from(parse("a.conf", prefix, &read).is_ok());
        }
        // Nothing at all, the first directive, its line end, the whole with and without the last line end.
        assert_eq!(accepted, 6);
    }

    #[test]
    fn random_bytes_have_an_answer() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..5000 {
            let alphabet = b"ab \t\r\n;{}\"'#\xff\xc3";
            let length = random.usize(..40);
            let text = (0..length).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
            if let Err(fault) = parse("a.conf", text, &no_files) {
                assert!(fault.explain().lines().count() >= 1);
            }
        }
    }
}
