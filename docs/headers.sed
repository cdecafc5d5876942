# After the license's line a header begins with a comment on all of it; Doxygen wants to be told so.
1c\
/// \\file
