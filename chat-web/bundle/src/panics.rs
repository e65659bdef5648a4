//! Takes out of the client what only says why it panicked: in a browser nobody is told, so a panic is a trap and nothing else.
//!
//! The compiler of the stable toolchain cannot leave it out, as the library it links has it built in. What is left is told by the
//! names of functions; of a library with other names less is found, and the page is larger.

use std::collections::HashSet;

use walrus::{
    ConstExpr, DataId, DataKind, FunctionId, FunctionKind, Module,
    ir::{Call, Instr, InstrLocId, InstrSeq, Unreachable, Value, VisitorMut, dfs_pre_order_mut},
    passes::gc,
};

/// Functions that never come back, and say why on their way.
const ENDS: &[&str] = &[
    "core::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::str::slice_error_fail",
    "alloc::raw_vec::handle_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::alloc::handle_alloc_error",
    "std::panicking::",
    "std::alloc::rust_oom",
    "rustc::rust_begin_unwind",
    "rustc::rust_panic",
];

/// Does it.
pub(crate) fn take_out(module: &mut Module) {
    let mut ends = Ends(HashSet::new());
    for function in module.funcs.iter() {
        let name = plain(function.name.as_deref().unwrap_or_default());
        if ENDS.iter().any(|end| name.starts_with(end)) {
            ends.0.insert(function.id());
        }
    }
    // Who does nothing but panic is one of them, too.
    loop {
        let mut found = Vec::new();
        for (id, function) in module.funcs.iter_local_mut() {
            let entry = function.entry_block();
            dfs_pre_order_mut(&mut ends, function, entry);
            let begins = function.block(entry).first();
            if matches!(begins, Some((Instr::Unreachable(_), _))) && !ends.0.contains(&id) {
                found.push(id);
            }
        }
        if found.is_empty() {
            break;
        }
        ends.0.extend(found);
    }
    for id in ends.0 {
        replace(module, id, vec![trap()]);
    }
    let segments: Vec<DataId> = module.data.iter().map(|data| data.id()).collect();
    for id in segments {
        let data = module.data.get_mut(id);
        if let DataKind::Active {
            offset: ConstExpr::Value(Value::I32(start)),
            ..
        } = data.kind
        {
            blank_places(&mut data.value, start as u32 as usize);
        }
    }
    gc::run(module);
}

fn replace(module: &mut Module, id: FunctionId, body: Vec<(Instr, InstrLocId)>) {
    if let FunctionKind::Local(function) = &mut module.funcs.get_mut(id).kind {
        let entry = function.entry_block();
        function.block_mut(entry).instrs = body;
    }
}

/// The functions that do not come back.
struct Ends(HashSet<FunctionId>);

impl VisitorMut for Ends {
    /// What comes after the first call of one of them is never done, and what is only got ready for it need not be.
    fn start_instr_seq_mut(&mut self, seq: &mut InstrSeq) {
        let ends = |(instr, _): &(Instr, InstrLocId)| match instr {
            Instr::Call(Call { func }) => self.0.contains(func),
            Instr::Unreachable(_) => true,
            _ => false,
        };
        let Some(mut end) = seq.iter().position(ends) else {
            return;
        };
        while end > 0 && is_quiet(&seq[end - 1].0) {
            end -= 1;
        }
        seq.truncate(end);
        seq.push(trap());
    }
}

/// Whether nobody can tell that it was done, once the module has trapped.
fn is_quiet(instr: &Instr) -> bool {
    matches!(
        instr,
        Instr::Const(_)
            | Instr::LocalGet(_)
            | Instr::LocalSet(_)
            | Instr::LocalTee(_)
            | Instr::GlobalGet(_)
            | Instr::GlobalSet(_)
            | Instr::Load(_)
            | Instr::Store(_)
            | Instr::Binop(_)
            | Instr::Unop(_)
            | Instr::Select(_)
            | Instr::Drop(_)
    )
}

fn trap() -> (Instr, InstrLocId) {
    (Instr::Unreachable(Unreachable {}), InstrLocId::default())
}

/// Where in the sources a panic would have been: `{file, length, line, column}`, four words, and the files' names. Nobody reads
/// them any more; as zeros they take no room when compressed.
fn blank_places(data: &mut [u8], start: usize) {
    let word = |data: &[u8], at: usize| {
        u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]) as usize
    };
    let mut names = Vec::new();
    let mut at = start.next_multiple_of(4) - start;
    while at + 16 <= data.len() {
        let [from, length, line, column] = [0, 4, 8, 12].map(|offset| word(data, at + offset));
        let file = from
            .checked_sub(start)
            .and_then(|from| Some(from..from.checked_add(length)?))
            .filter(|file| {
                (4..400).contains(&length)
                    && data
                        .get(file.clone())
                        .is_some_and(|name| name.ends_with(b".rs"))
            });
        match file {
            Some(file) if (1..100_000).contains(&line) && (1..1_000).contains(&column) => {
                names.push(file);
                data[at..at + 16].fill(0);
                at += 16;
            }
            _ => at += 4,
        }
    }
    for name in names {
        data[name].fill(0);
    }
}

/// A function's name without the hashes that the compiler adds.
fn plain(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        kept += &rest[..open];
        let hash = rest[open + 1..].find(']').filter(|length| {
            *length >= 15
                && rest[open + 1..][..*length]
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit())
        });
        rest = match hash {
            Some(length) => &rest[open + 2 + length..],
            None => {
                kept.push('[');
                &rest[open + 1..]
            }
        };
    }
    kept += rest;
    match kept.rfind("::h") {
        Some(at)
            if kept.len() >= at + 19
                && kept[at + 3..at + 19]
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit()) =>
        {
            kept.truncate(at);
        }
        _ => {}
    }
    kept
}
