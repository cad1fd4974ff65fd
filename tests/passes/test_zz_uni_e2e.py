from pathlib import Path
import duckdb
from featurestore import publish as module
from featurestore.publish import publish
from featurestore.stop import Stop
from featurestore.passes.tokens import Tokens
from featurestore.passes.unigrams import Unigrams
from featurestore.passes.decoder import Decoder
from featurestore.passes.statistics import Statistics
from featurestore.passes.examples import Examples
from featurestore.passes.logit_lens import LogitLens
from tests.tiny_model import save_recipe
from tests.tiny_plan import plan_of, sweep_blocks
def test_e2e(tmp_path, monkeypatch):
    monkeypatch.setattr(module,"PASSES",(Statistics,Examples,LogitLens,Tokens,Unigrams,Decoder))
    plan=plan_of(save_recipe(tmp_path/"r"), tmp_path/"store")
    sweep_blocks(plan, plan.blocks)
    path=publish(plan.jobs[0],plan,plan.model,Stop())
    c=duckdb.connect(str(path),read_only=True)
    print(c.sql("select * from measures").fetchall())
    names="feature token_share share_token token_entropy n_unigrams unigrams unigram_activations unigram_cos unigram_cos_token unigram_cos_raw lookup_cos lookup_cos_token embedding_tokens embedding_cos top_dims top_dim_weights dim_share reader_bias reader_cos".split()
    for r in c.sql("select "+",".join(names)+" from features where feature in (0,5,23)").fetchall(): print(dict(zip(names,r)))
