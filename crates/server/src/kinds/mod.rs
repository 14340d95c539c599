//! What clients may do to the document of a room, by the kind of the room.
//! Each kind is pure: from a document and what is asked for to the next
//! document or the reason why not. The store decides whether it was in time.

pub mod doc;
