-- One dictionary's file. Rows stand in the order of their key; there are no indexes, because
-- DuckDB's zone maps on the sorted key already answer a page in milliseconds.
-- The manifest row is written last: a file without it is not complete.

create table manifest (
    schema_version integer,   -- of this file; a reader refuses others
    run_id varchar,           -- hash of all that decides the numbers
    dictionary_id varchar,    -- name in the store and in URLs
    kind varchar,             -- sae, topk, jumprelu, gated, tokenized, transcoder, pca, ica, random, neurons, identity
    family varchar,           -- dictionaries of one training run or sweep; null if none
    step bigint,              -- dictionary-training step; null if unknown
    model_name varchar,       -- as given in the recipe
    model_step bigint,        -- the model's own training step; null if unknown
    hook_name varchar,        -- hook point it reads
    hook_name_out varchar,    -- hook point it writes to (differs for a transcoder)
    d_in integer,             -- length of the vectors it reads
    d_out integer,            -- length of its directions
    n_features integer,       -- number of directions
    context_length integer,   -- tokens in a context, BOS included
    n_contexts bigint,        -- contexts of the corpus
    n_tokens bigint,          -- valid tokens: every density's denominator
    token_mask varchar,       -- which tokens are left out of every statistic
    corpus_name varchar,      -- as given in the recipe
    seed bigint,              -- of every sample
    dtype varchar,            -- precision of the model and of encoding
    dtype_change varchar,     -- JSON: how it changes activations; null for float32
    built_at varchar,         -- UTC, ISO 8601
    git_commit varchar,       -- of the code that built it; null outside a checkout
    recipe varchar,           -- JSON: every setting of the run
    digests varchar,          -- JSON: sha256 of model, tokenizer, dictionary, corpus
    versions varchar,         -- JSON: Python and libraries
    tables varchar            -- JSON: for each table, rows and logical digest
);

create table vocab (
    token_id integer,         -- key
    token varchar             -- its text; bytes that are no text as <0xE2>
);

create table contexts (
    context integer,          -- key: number in the corpus; those that examples are of
    document varchar,         -- name of the text it was cut from
    start integer,            -- first token's place in the document, in tokens
    tokens integer[],         -- token ids, padding left out
    text varchar              -- their text, decoded together; bytes that are no text as U+FFFD
);

create table features (
    feature integer,          -- key
    n_active bigint,          -- valid tokens with a non-zero, finite activation
    n_nonfinite bigint,       -- valid tokens with NaN or infinity: counted, never ranked
    density double,           -- n_active / n_tokens
    max_activation float,     -- null for a dead feature, as all that follows
    min_activation float,     -- smallest non-zero value (below zero for signed dictionaries)
    mean_activation double,   -- mean over active tokens
    std_activation double,    -- over active tokens, divided by n
    skewness double,          -- central third moment / std^3, over active tokens
    kurtosis double,          -- central fourth moment / std^4, over active tokens (3 for a normal)
    histogram bigint[],       -- counts of non-zero activations in equal bins from min to max
    n_contexts_active bigint, -- contexts with at least one active token
    peak_tokens integer[],    -- tokens at the peaks of the top contexts, most frequent first
    peak_counts integer[],    -- how many of the top contexts peak on each
    decoder_norm double,      -- Euclidean length of the direction
    promoted integer[],       -- tokens whose logit the direction raises most
    promoted_logits float[],  -- centred logit-lens values of these, falling
    suppressed integer[],     -- tokens whose logit the direction lowers most
    suppressed_logits float[],-- centred logit-lens values of these, rising
    logit_std double,         -- over the vocabulary
    logit_kurtosis double,    -- over the vocabulary: high when few tokens stand out
    logit_low float,          -- left edge of the logit histogram
    logit_high float,         -- right edge
    logit_histogram bigint[], -- counts over the vocabulary in equal bins
    token_share double,       -- largest share of the summed |activation| on one token of the vocabulary
    share_token integer,      -- that token
    token_entropy double,     -- of these shares over all tokens, in nats: 0 if all is on one
    n_unigrams bigint,        -- tokens on which alone, after BOS, the feature is active
    unigrams integer[],       -- the strongest of these tokens
    unigram_activations float[], -- the feature's activations there, falling
    unigram_cos double,       -- largest cosine of the direction with a token's hidden vector after
                              -- BOS, these less their mean; null where the model has no BOS
    unigram_cos_token integer,-- that token
    unigram_cos_raw double,   -- the same token's, without taking the mean off
    lookup_cos double,        -- largest cosine with a row of a tokenized SAE's lookup table
    lookup_cos_token integer, -- that token
    embedding_tokens integer[], -- tokens whose embeddings, less their mean, are nearest
    embedding_cos float[],    -- cosines of these with the direction, falling
    top_dims integer[],       -- dimensions of the model on which the direction is longest
    top_dim_weights float[],  -- its components there, the largest |weight| first
    dim_share double,         -- share of its squared length on the first of these
    reader_bias float,        -- bias of the encoder
    reader_cos double,        -- cosine of reader and direction; null where their spaces differ
    n_ablated integer,        -- contexts on which the feature was switched off
    n_effects bigint,         -- active tokens there that have a next token: n of the means below
    ablation_kl double,       -- mean KL(clean || ablated) of the next token, in nats, over these
    ablation_kl_se double,    -- its standard error; null for n_effects below 2
    n_controls integer,       -- ablations by random directions: contexts times draws
    control_kl double,        -- the same mean with random directions of the same norms there
    kl_percentile double,     -- percentage of controls with less KL on the same context, ties half
    loss_effect double,       -- mean loss ablated less clean: above 0 the feature helps, in nats
    loss_effect_se double,    -- its standard error; null for n_effects below 2
    falls integer[],          -- tokens whose log-probability falls most when it is switched off
    fall_effects float[],     -- mean log p clean less ablated, falling: the feature promotes them
    fall_se float[],          -- standard errors of these; null for n_effects below 2
    fall_probabilities float[], -- mean probabilities of these tokens, clean
    rises integer[],          -- tokens whose log-probability rises most
    rise_effects float[],     -- mean log p clean less ablated, rising
    rise_se float[],          -- standard errors of these
    rise_probabilities float[], -- mean probabilities of these tokens, clean
    nearest_cos double,       -- largest cosine with another direction
    x float,                  -- place on the map; null for a dead feature or one without length
    y float,                  -- likewise
    cluster integer           -- null if it is on the map but in no cluster, or not on it
);

create table bands (
    feature integer,          -- key
    sampler varchar,          -- key: top, interval, quantile, random, zero
    band smallint,            -- key: 0 holds the highest activations
    low float,                -- interval: activations above this; else the smallest in the band
    high float,               -- interval: and up to this; else the largest in the band
    n_band bigint,            -- tokens in the band
    n_sampled integer         -- contexts shown for it
);

create table examples (
    feature integer,          -- key
    sampler varchar,          -- key
    band smallint,            -- key
    rank smallint,            -- key: order inside the band
    context integer,          -- where it is
    peak smallint,            -- position that was sampled, inside the context
    activation float,         -- exact value there
    scale float,              -- largest |activation| of the context: value = q / 127 * scale
    pos smallint[],           -- positions with a non-zero activation
    q tinyint[]               -- their activations, quantised to 8 bits
);

create table top_contexts (  -- made from the examples of sampler 'top'
    context integer,          -- key
    feature integer,          -- key
    rank smallint             -- key: place among the feature's top contexts, 0 first
);

create table promoted_tokens (
    token_id integer,         -- key
    is_promoted boolean,      -- key: raised or lowered
    rank smallint,            -- key: place in the feature's list, 0 first
    feature integer,          -- key
    logit float               -- centred logit-lens value
);

create table ablated_contexts (
    feature integer,          -- key
    rank smallint,            -- key: top contexts first, then bands
    sampler varchar,          -- which example it is: top or interval
    band smallint,            -- of that sampler
    context integer,          -- where it is
    n_effects integer,        -- active tokens that have a next token
    kl double,                -- mean KL(clean || ablated) over these, in nats
    control_kl double,        -- mean over random directions of the same norms
    start smallint,           -- position of the first effect below
    scale float,              -- largest |effect|: effect = q / 127 * scale
    q tinyint[]               -- log p clean less ablated of the next token, from `start` on
);

create table dependences (
    feature integer,          -- key
    rank smallint,            -- key: of its top contexts
    context integer,          -- where it is
    peak smallint,            -- position whose activation is looked at
    activation float,         -- there, recomputed on its own
    start smallint,           -- position of the first token that was deleted
    changes float[]           -- activation without the token less with it, from `start` to peak - 1
);

create table neighbours (
    feature integer,          -- key
    measure varchar,          -- key: what they are ranked by, cosine or coactivation (Jaccard)
    rank smallint,            -- key: 0 first
    neighbour integer,        -- the other feature
    cosine double,            -- of the directions; null if one has no length
    n_both bigint,            -- valid tokens on which both are active
    jaccard double,           -- n_both / tokens on which either is; null if neither ever is
    pmi double,               -- log(n_tokens n_both / (n_active n_active)), in nats; null for n_both 0
    conditional double,       -- n_both / n_active of the feature; null if it never is
    correlation double        -- Pearson's over all valid tokens; null if one does not vary
);

create table clusters (
    cluster integer,          -- key
    n_features integer,       -- in it
    x float,                  -- median place of its features
    y float,                  -- likewise
    tokens integer[],         -- promoted tokens that tell it from the others
    shares double[]           -- of its features, those that promote each
);

create table control_map (   -- the same map of as many random directions
    number integer,           -- key
    x float,                  -- its place there
    y float,                  -- likewise
    cluster integer           -- likewise; null for none
);

create table measures (      -- of the whole dictionary
    name varchar,             -- key
    value double,             -- null where n is too small for it
    n bigint,                 -- what it was taken over
    control double,           -- the same for random directions; null if there is none
    n_control bigint          -- what that was taken over
);

create table substituted_tokens ( -- what is lost where a dictionary's vectors stand in for the model's
    token_id integer,         -- key: the token whose vector was replaced
    n bigint,                 -- of them in the sample, with a next token
    kl double,                -- mean KL(clean || replaced), in nats
    kl_se double,             -- standard error; null for n below 2
    control_kl double,        -- the same for random directions as long as the error
    n_corpus bigint           -- of them in the whole corpus
);
