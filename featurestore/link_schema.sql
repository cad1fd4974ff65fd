-- Links from the features of one dictionary, upstream, to those of another that reads the residual
-- stream further on. A weight is the product of a direction upstream and a reader downstream; behind
-- a normalisation the reader is taken through it, but for a factor of each token.
-- The row of link is written last: a file without it is not complete.

create type link_end as struct(
    dictionary_id varchar,    -- name in the store
    run_id varchar,           -- of the file that was linked; another run of it is another link
    hook_name varchar,        -- hook point that it writes to (upstream) or reads (downstream)
    place integer,            -- of this hook point along the stream; -1 for embeddings
    n_features integer,       -- number of features
    n bigint,                 -- directions (upstream) or readers (downstream) with a length
    median double,            -- over features with a link, of their links' largest cosine, either way
    floor double              -- largest cosine, either way, of a vector with as many random ones as
                              -- the other end has with a length: its expectation
);

create table link (
    schema_version integer,   -- of this file; a reader refuses others
    upstream link_end,
    downstream link_end,
    d_model integer,          -- length of directions and readers
    reading varchar,          -- what is read downstream: stream, layer norm or RMS norm
    is_scaled boolean,        -- whether a factor of each token is left out of the weights: of the
                              -- norm, or of a dictionary that standardises
    is_absolute boolean,      -- whether a direction and its opposite count as the same
    n_same bigint,            -- features downstream that one of their links is the same feature as
    n_tokens bigint,          -- valid tokens that activations are compared on; null if they are not
    why_not varchar,          -- why they are not, in a sentence; null if they are
    built_at varchar          -- UTC, ISO 8601
);

create table links (
    side varchar,             -- key: upstream or downstream, whose feature it is
    feature integer,          -- key
    rank smallint,            -- key: place by the weight's absolute value, 0 first
    other integer,            -- feature of the other end
    weight double,            -- direction upstream times reader downstream
    cosine double,            -- weight / both lengths
    direction_cosine double,  -- of the two directions, its absolute value where is_absolute; null if
                              -- the one downstream has no length or is none of the stream
    is_same boolean,          -- whether it is above 0.9 and the one downstream writes where it reads
    n_both bigint,            -- valid tokens on which both are active
    mean_weighted double,     -- mean over these of activation upstream times weight; null if none
    correlation double        -- Pearson's over all valid tokens; null if one does not vary
);
