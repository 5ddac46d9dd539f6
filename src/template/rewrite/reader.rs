//! Walks over the words of expressions and collects edits.

use super::super::tokens::{Kind, Token};
use super::soften::Step;
use super::strings::{keep_backslashes, unescape};
use super::{Dialect, Edit, literal};

/// Method names that change their value.
const CHANGERS: [&str; 11] = [
    "append",
    "extend",
    "update",
    "pop",
    "insert",
    "setdefault",
    "remove",
    "clear",
    "sort",
    "reverse",
    "popitem",
];

/// Walks over the words of expressions and collects edits.
pub(super) struct Reader<'a> {
    pub(super) source: &'a str,
    pub(super) dialect: &'a Dialect,
    tokens: &'a [Token],
    at: usize,
    pub(super) edits: Vec<Edit>,
    /// Lists and mappings written out: start, end.
    pub(super) containers: Vec<(usize, usize, bool)>,
    pub(super) changes: bool,
    depth: usize,
    /// Dates may be subtracted here: minijinja's `-` knows only numbers.
    dates: bool,
    /// Where the operand read last starts, signs included.
    operand_start: usize,
    pub(super) filters: Vec<(String, usize)>,
    pub(super) tests: Vec<(String, usize)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a str, dialect: &'a Dialect) -> Self {
        Self {
            source,
            dialect,
            tokens: &[],
            at: 0,
            edits: Vec::new(),
            containers: Vec::new(),
            changes: false,
            depth: 0,
            operand_start: 0,
            dates: source.contains("to_datetime") || source.contains("now("),
            filters: Vec::new(),
            tests: Vec::new(),
        }
    }

    pub(super) fn read<'t: 'a>(&mut self, tokens: &'t [Token], how: fn(&mut Self)) {
        for token in tokens {
            match token.kind {
                Kind::OddSpace => self.replace(token.start, token.end, " "),
                Kind::Text => self.string(*token),
                Kind::Name | Kind::Number | Kind::Sign => {}
            }
        }
        self.tokens = tokens;
        self.at = 0;
        how(self);
    }

    pub(super) fn replace(&mut self, at: usize, until: usize, text: impl Into<String>) {
        self.edits.push(Edit { at, until, text: text.into() });
    }

    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    /// Rewrites a string so that minijinja reads the same characters.
    fn string(&mut self, token: Token) {
        let written = &self.source[token.start..token.end];
        if !written.contains('\\') {
            return;
        }
        let mut inner = written.chars();
        let quote = inner.next();
        if inner.next_back() != quote {
            // Never closed: minijinja says so.
            return;
        }
        let inner = inner.as_str();
        let read = if self.dialect.escapes { unescape(inner) } else { keep_backslashes(inner) };
        self.replace(token.start, token.end, literal(&read));
    }

    fn peek(&self) -> Option<Token> {
        let mut at = self.at;
        while self.tokens.get(at).is_some_and(|t| t.kind == Kind::OddSpace) {
            at += 1;
        }
        self.tokens.get(at).copied()
    }

    fn next(&mut self) -> Option<Token> {
        while self.tokens.get(self.at).is_some_and(|t| t.kind == Kind::OddSpace) {
            self.at += 1;
        }
        let token = self.tokens.get(self.at).copied();
        self.at += usize::from(token.is_some());
        token
    }

    fn text(&self, token: Token) -> &'a str {
        &self.source[token.start..token.end]
    }

    fn sees(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.kind != Kind::Text && self.text(token) == text)
    }

    fn eat(&mut self, text: &str) -> Option<Token> {
        if self.sees(text) { self.next() } else { None }
    }

    /// Reads expressions parted by commas until the words end or something else comes.
    pub(super) fn expressions(&mut self) {
        while self.peek().is_some() {
            let before = self.at;
            self.expression();
            if self.eat(",").is_none() && self.at == before {
                // Not ours to judge: minijinja will say what is wrong.
                self.next();
            }
        }
    }

    /// Reads what stands in `{% … %}`.
    pub(super) fn statement(&mut self) {
        let Some(word) = self.next() else { return };
        match self.text(word) {
            "if" | "elif" | "do" | "include" | "extends" | "autoescape" | "return" => {
                self.expressions();
            }
            "import" | "from" => self.expression(),
            "for" => {
                while self.peek().is_some() && !self.sees("in") {
                    self.next();
                }
                self.next();
                self.without_condition();
                if self.sees(",") {
                    self.bare_tuple();
                }
                if self.eat("if").is_some() {
                    self.expression();
                }
            }
            "set" | "with" => {
                while self.peek().is_some() {
                    while self.peek().is_some() && !self.sees("=") && !self.sees("|") {
                        self.next();
                    }
                    if self.next().is_none() {
                        return;
                    }
                    self.expression();
                    if self.eat(",").is_none() {
                        return;
                    }
                }
            }
            "macro" => {
                self.next();
                self.arguments(true);
            }
            "call" => {
                if self.sees("(") {
                    self.arguments(true);
                }
                self.expressions();
            }
            _ => {}
        }
    }

    /// `for x in 1, 2`: minijinja wants brackets.
    fn bare_tuple(&mut self) {
        let start = self.tokens.iter().position(|t| t.kind == Kind::Name && self.text(*t) == "in");
        let Some(first) = start.and_then(|at| self.tokens.get(at + 1)).map(|t| t.start) else {
            return;
        };
        let mut end = first;
        while self.eat(",").is_some() {
            self.without_condition();
            end = self.end_of_last();
        }
        self.insert(first, "[");
        self.insert(end, "]");
    }

    fn end_of_last(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |t| t.end)
    }

    /// Reads `a`, or `a if b else c`.
    fn expression(&mut self) {
        if self.depth > 200 {
            return;
        }
        self.depth += 1;
        self.without_condition();
        while self.eat("if").is_some() {
            self.without_condition();
            if self.eat("else").is_some() {
                self.without_condition();
            }
        }
        self.depth -= 1;
    }

    /// Reads operands and operators.
    fn without_condition(&mut self) {
        // The operator before, when the `%` that may follow must be left alone.
        let mut tight = self.operand();
        let mut start = self.operand_start;
        loop {
            let Some(token) = self.peek() else { return };
            let sign = if token.kind == Kind::Text { "" } else { self.text(token) };
            match sign {
                "%" => {
                    self.next();
                    if tight {
                        self.operand();
                    } else {
                        self.replace(token.start, token.end, "|__mod((");
                        self.operand();
                        while self.eat("**").is_some() {
                            self.operand();
                        }
                        let end = self.end_of_last();
                        self.insert(end, "))");
                    }
                }
                "*" | "/" | "//" | "**" => {
                    self.next();
                    self.operand();
                    tight = true;
                }
                "-" if self.dates && !tight => {
                    self.next();
                    self.replace(token.start, token.end, "|__sub((");
                    self.operand();
                    while self.sees("*")
                        || self.sees("/")
                        || self.sees("//")
                        || self.sees("%")
                        || self.sees("**")
                    {
                        self.next();
                        self.operand();
                    }
                    let end = self.end_of_last();
                    self.insert(end, "))");
                }
                "<" | ">" | "<=" | ">=" => {
                    self.next();
                    tight = self.operand();
                    let right = self.operand_start;
                    while ["+", "-", "~", "*", "/", "//", "**", "%"]
                        .iter()
                        .any(|sign| self.sees(sign))
                    {
                        self.next();
                        self.operand();
                    }
                    // `1 < x < 5` stays: both engines read it alike, and its middle would be read twice.
                    let chained =
                        ["<", ">", "<=", ">=", "==", "!=", "in"].iter().any(|sign| self.sees(sign));
                    if chained {
                        while ["<", ">", "<=", ">=", "==", "!=", "in"]
                            .iter()
                            .any(|sign| self.sees(sign))
                        {
                            self.next();
                            self.operand();
                        }
                    } else {
                        let end = self.end_of_last();
                        self.insert(start, format!("__order({},(", literal(sign)));
                        self.replace(token.start, token.end, "),(");
                        self.insert(end, "))");
                    }
                    start = right;
                }
                "+" | "-" | "~" => {
                    self.next();
                    tight = self.operand();
                }
                "and" | "or" | "in" | "==" | "!=" => {
                    self.next();
                    tight = self.operand();
                    start = self.operand_start;
                }
                "not" => {
                    self.next();
                    if self.eat("in").is_none() {
                        return;
                    }
                    tight = self.operand();
                    start = self.operand_start;
                }
                _ => return,
            }
        }
    }

    /// Reads one value with what hangs behind it; returns whether a sign stands before it.
    fn operand(&mut self) -> bool {
        let mut signed = false;
        loop {
            if self.eat("not").is_some() {
                continue;
            }
            if !signed {
                self.operand_start = self.peek().map_or(self.source.len(), |token| token.start);
            }
            if self.eat("-").is_some() || self.eat("+").is_some() {
                signed = true;
                continue;
            }
            break;
        }
        let first = self.operand_start;
        let Some((start, name)) = self.primary() else { return signed };
        let mut steps = Vec::new();
        let mut guarded_until = 0;
        loop {
            if self.sees("|") {
                let Some(bar) = self.next() else { break };
                let Some(filter) = self.dotted(bar.end) else { break };
                let short = &self.source[filter.0..filter.1];
                let guard = matches!(short, "default" | "d" | "mandatory" | "type_debug");
                self.filters.push((short.to_owned(), filter.0));
                if guard {
                    guarded_until = steps.len();
                }
                let open = self.peek().filter(|_| self.sees("("));
                let empty = self.arguments_if_any();
                let open = open.map(|open| (open.end, empty));
                steps.push(Step::Filter { name: filter, open });
            } else if self.sees("is") {
                self.next();
                self.eat("not");
                let Some(test) = self.dotted(0) else { break };
                let short = &self.source[test.0..test.1];
                self.tests.push((short.to_owned(), test.0));
                if matches!(short, "defined" | "undefined") {
                    guarded_until = steps.len();
                }
                self.test_argument();
            } else if let Some(step) = self.trailer() {
                steps.push(step);
            } else {
                break;
            }
        }
        self.soften(start, name, &steps, guarded_until);
        // Operands inside of brackets have moved it.
        self.operand_start = first;
        signed
    }

    /// Reads `.x`, `.x(…)`, `[…]`, `(…)`.
    fn trailer(&mut self) -> Option<Step> {
        if let Some(dot) = self.eat(".") {
            let name = self.next()?;
            if self.sees("(") {
                let open = self.peek()?.end;
                self.changes |= CHANGERS.contains(&self.text(name));
                let empty = self.arguments_if_any();
                return Some(Step::Method {
                    dot: dot.start,
                    name: (name.start, name.end),
                    open,
                    empty,
                });
            }
            return Some(Step::Attribute { dot: dot.start, name: (name.start, name.end) });
        }
        if self.sees("(") {
            self.arguments(false);
            return Some(Step::Call);
        }
        let open = self.eat("[")?;
        let mut slice = false;
        while self.peek().is_some() && !self.sees("]") {
            let before = self.at;
            if self.eat(":").is_some() {
                slice = true;
                continue;
            }
            self.expression();
            if self.at == before {
                self.next();
            }
        }
        let close = self.next()?;
        if slice {
            return Some(Step::Slice { open: open.start });
        }
        Some(Step::Index { open: open.start, close: close.start })
    }

    /// Reads a filter's or test's name; takes `ansible.builtin.` off. `from` is where the name's source starts.
    fn dotted(&mut self, from: usize) -> Option<(usize, usize)> {
        let first = self.peek().filter(|token| token.kind == Kind::Name)?;
        self.next();
        let from = if from == 0 { first.start } else { from };
        let mut last = first;
        let mut end = first.end;
        while self.sees(".") {
            self.next();
            let Some(name) = self.peek().filter(|token| token.kind == Kind::Name) else { break };
            self.next();
            last = name;
            end = name.end;
        }
        let whole = &self.source[first.start..end];
        if whole.starts_with("ansible.builtin.") || whole.starts_with("ansible.legacy.") {
            self.replace(from.min(first.start), last.start, "");
            return Some((last.start, last.end));
        }
        Some((first.start, end))
    }

    /// Reads `(…)` when it is there; returns whether nothing stands in it.
    fn arguments_if_any(&mut self) -> bool {
        if self.sees("(") { self.arguments(false) } else { true }
    }

    /// Reads `(a, b=c)`; names before `=` (and all names of a macro's head) are not values.
    fn arguments(&mut self, head: bool) -> bool {
        self.next();
        let mut empty = true;
        while self.peek().is_some() && !self.sees(")") {
            let before = self.at;
            empty = false;
            let keyword = self.tokens.get(self.at + 1).is_some_and(|t| self.text(*t) == "=");
            if keyword || head {
                self.next();
                if self.eat("=").is_some() {
                    self.expression();
                }
            } else if self.eat("*").is_none() && self.eat("**").is_none() {
                self.expression();
            }
            if self.eat(",").is_none() && self.at == before {
                self.next();
            }
        }
        self.next();
        empty
    }

    /// Reads the argument of a test: `(…)`, or one value.
    fn test_argument(&mut self) {
        let Some(token) = self.peek() else { return };
        let text = self.text(token);
        match token.kind {
            Kind::Sign if text == "(" => {
                self.arguments(false);
            }
            Kind::Name
                if matches!(
                    text,
                    "and" | "or" | "not" | "in" | "is" | "if" | "else" | "recursive"
                ) => {}
            Kind::Sign if text != "[" && text != "{" => {}
            Kind::Name | Kind::Number | Kind::Text | Kind::Sign => {
                if let Some((start, name)) = self.primary() {
                    let mut steps = Vec::new();
                    while let Some(step) = self.trailer() {
                        steps.push(step);
                    }
                    self.soften(start, name, &steps, 0);
                }
            }
            Kind::OddSpace => {}
        }
    }

    /// Reads a name, a constant, or something in brackets; returns its start, and its place when it is a name.
    fn primary(&mut self) -> Option<(usize, Option<(usize, usize)>)> {
        let token = self.peek()?;
        let text = self.text(token);
        match token.kind {
            Kind::Number => {
                self.next();
                Some((token.start, None))
            }
            Kind::Text => {
                while self.peek().is_some_and(|t| t.kind == Kind::Text) {
                    self.next();
                }
                Some((token.start, None))
            }
            Kind::Name if matches!(text, "else" | "if" | "and" | "or" | "in" | "is") => None,
            Kind::Name => {
                self.next();
                let constant =
                    matches!(text, "true" | "false" | "none" | "True" | "False" | "None");
                Some((token.start, (!constant).then_some((token.start, token.end))))
            }
            Kind::Sign if text == "(" => {
                self.inside(")");
                Some((token.start, None))
            }
            Kind::Sign if text == "[" || text == "{" => {
                self.inside(if text == "[" { "]" } else { "}" });
                self.containers.push((token.start, self.end_of_last(), text == "["));
                Some((token.start, None))
            }
            Kind::Sign | Kind::OddSpace => None,
        }
    }

    fn inside(&mut self, close: &str) {
        self.next();
        while self.peek().is_some() && !self.sees(close) {
            let before = self.at;
            self.expression();
            if self.eat(",").is_none() && self.eat(":").is_none() && self.at == before {
                self.next();
            }
        }
        self.next();
    }
}
