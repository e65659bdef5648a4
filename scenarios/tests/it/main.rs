//! The promises, end to end: the real binary as processes.

mod a_encrypted_group;
mod b_student_chat_room;
mod bad_input;
mod c_chat_system;
mod d_groups_with_passwords;
mod e_chat_room;
mod library;
mod link_cut;
mod nothing_lost;
#[cfg(target_os = "linux")]
mod wire;
