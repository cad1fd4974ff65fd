-- Two dictionaries of a store, A and B, compared: A is the one whose id sorts first. A cosine is that
-- of two directions, or its absolute value where is_absolute says so.
-- The row of pair is written last: a file without it is not complete.

create type side as struct(
    dictionary_id varchar,    -- name in the store
    run_id varchar,           -- of the file that was compared; another run of it is another pair
    hook_name varchar,        -- hook point that its directions are written to
    n_features integer,       -- number of directions
    n bigint,                 -- those with a length, which all below is about
    mmcs double,              -- mean over these of the largest cosine with the other side
    share_above double,       -- share of these whose largest cosine is above 0.9
    floor double,             -- largest cosine of a random direction with as many as the other
                              -- side has: its expectation
    histogram bigint[]        -- counts of largest cosines in 40 equal bins from -1 to 1
);

create table pair (
    schema_version integer,   -- of this file; a reader refuses others
    a side,
    b side,
    d_out integer,            -- length of all directions
    is_same_model boolean,    -- whether both were built on the same weights of a model
    is_absolute boolean,      -- whether a direction and its opposite count as the same
    method varchar,           -- how features are matched one to one: assignment or mutual
    n_matched bigint,         -- pairs of matched features
    mean_matched double,      -- mean cosine of these
    n_tokens bigint,          -- valid tokens that activations are compared on; null if they are not
    built_at varchar          -- UTC, ISO 8601
);

create table matches (
    side varchar,             -- key: a or b, whose feature it is
    feature integer,          -- key
    rank smallint,            -- key: place by cosine, 0 first; null for another beyond the third:
                              -- the match, or the feature of the same number within a family
    other integer,            -- feature of the other side; null if the feature has no length
    cosine double,            -- null likewise
    is_matched boolean,       -- whether the two are matched one to one
    n_both bigint,            -- valid tokens on which both are active
    jaccard double,           -- n_both / tokens on which either is; null if neither ever is
    correlation double        -- Pearson's over all valid tokens; null if one does not vary
);
