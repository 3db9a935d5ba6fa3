# ruff: noqa
"""Regenerate the reference numbers from the CSV files in this folder.

Run:  OMP_NUM_THREADS=1 python make_reference.py [name ...]
Needs: numpy, scipy, pandas, linearmodels, statsmodels (pyfixest and ivmodels
are used as cross-checks when importable).
"""

import json, os, sys, warnings
import numpy as np, pandas as pd, scipy
from scipy import optimize, stats

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))


def f(x):
    x = float(x)
    return x if np.isfinite(x) else None


def tab(res, j=False):
    out = {
        "params": {k: f(v) for k, v in res.params.items()},
        "std_errors": {k: f(v) for k, v in res.std_errors.items()},
    }
    if j:
        out["j_stat"] = f(res.j_stat.stat)
        out["j_df"] = (
            int(res.j_stat.df)
            if res.j_stat.stat == res.j_stat.stat and hasattr(res.j_stat, "df") and res.j_stat.df
            else 0
        )
        out["j_pvalue"] = f(res.j_stat.pval) if res.j_stat.pval is not None else None
        out["iterations"] = int(res.iterations)
    return out


def st(w):
    try:
        return {"stat": f(w.stat), "df": int(w.df), "pvalue": f(w.pval)}
    except Exception:
        return None


def resid_on(A, C):
    return A - C @ np.linalg.lstsq(C, A, rcond=None)[0]


def weak_iv(y, X1, D, Z):
    """Own computations, one endogenous regressor. X1 exog incl. constant."""
    n = len(y)
    yt, dt, Zt = resid_on(y, X1), resid_on(D, X1)[:, 0], resid_on(Z, X1)
    yt = yt[:, 0]
    l, k1 = Z.shape[1], X1.shape[1]
    ZZ = Zt.T @ Zt
    pi = np.linalg.solve(ZZ, Zt.T @ dt)
    v = dt - Zt @ pi
    dof = n - k1 - l
    out = {}
    out["F_partial_iid"] = f(pi @ ZZ @ pi / l / (v @ v / dof))
    meat = (Zt * v[:, None] ** 2).T @ Zt
    iZZ = np.linalg.inv(ZZ)
    V0 = iZZ @ meat @ iZZ
    w0 = pi @ np.linalg.solve(V0, pi)
    out["F_partial_HC0"] = f(w0 / l)
    out["F_partial_HC1"] = f(w0 / l * dof / n)
    out["wald_chi2_HC0"] = f(w0)
    out["F_effective_MOP_HC0"] = f(pi @ ZZ @ pi / np.trace(V0 @ ZZ))
    out["F_effective_MOP_HC1"] = f(pi @ ZZ @ pi / np.trace(V0 @ ZZ) * dof / n)
    Ztd, Zty = Zt.T @ dt, Zt.T @ yt

    def ar_iid(b):
        e = yt - dt * b
        q = Zt.T @ e
        num = q @ iZZ @ q
        return num / l / ((e @ e - num) / dof)

    def s_rob(b):
        e = yt - dt * b
        g = Zt * e[:, None]
        s = g.sum(0)
        return s @ np.linalg.solve(g.T @ g, s)

    out["AR_F_at_0"] = f(ar_iid(0.0))
    out["S_robust_chi2_at_0"] = f(s_rob(0.0))
    b2 = (Ztd @ iZZ @ Zty) / (Ztd @ iZZ @ Ztd)
    e = yt - dt * b2
    se = np.sqrt(e @ e / (n - k1 - 1) / (Ztd @ iZZ @ Ztd))

    def region(fun, crit):
        lo, hi, m = b2 - 400 * se, b2 + 400 * se, 160001
        g = np.linspace(lo, hi, m)
        # coarse grid is enough; refine the crossings by bisection
        g = np.unique(
            np.r_[np.linspace(b2 - 30 * se, b2 + 30 * se, 6001), np.linspace(lo, hi, 2001)]
        )
        val = np.array([fun(b) for b in g]) - crit
        ins = val <= 0
        cuts = [
            optimize.brentq(lambda b: fun(b) - crit, g[i], g[i + 1])
            for i in range(len(g) - 1)
            if ins[i] != ins[i + 1]
        ]
        segs, cur = [], ("-inf" if ins[0] else None)
        for c in cuts:
            if cur is None:
                cur = f(c)
            else:
                segs.append([cur, f(c)])
                cur = None
        if cur is not None:
            segs.append([cur, "inf"])
        return segs

    if n <= 40000:
        out["AR_set_95_iid_F"] = region(ar_iid, stats.f.ppf(0.95, l, dof))
        out["S_set_95_robust_chi2"] = region(s_rob, stats.chi2.ppf(0.95, l))
        out["set_note"] = (
            "searched over estimate +/- 400 standard errors; 'inf' = not closed inside that range"
        )
    return out


def run_spec(df, formula, cluster=None, kernel=None, cue=True, weak=True, gmm_center=False):
    from linearmodels.iv import IV2SLS, IVLIML, IVGMM, IVGMMCUE

    m = IV2SLS.from_formula(formula, df)
    n = m._y.shape[0]
    o = {"formula": formula, "nobs": int(n)}
    exog, endog, instr = m.exog.pandas, m.endog.pandas, m.instruments.pandas
    y = m.dependent.pandas
    o["n_exog"], o["n_endog"], o["n_instr"] = exog.shape[1], endog.shape[1], instr.shape[1]
    ols = IV2SLS(y, pd.concat([exog, endog], axis=1), None, None)
    o["ols_robust"] = tab(ols.fit(cov_type="robust"))
    r = m.fit(cov_type="robust")
    u = m.fit(cov_type="unadjusted")
    o["iv2sls_robust"], o["iv2sls_unadjusted"] = tab(r), tab(u)
    o["iv2sls_unadjusted_debiased_se"] = {
        k: f(v) for k, v in m.fit(cov_type="unadjusted", debiased=True).std_errors.items()
    }
    if cluster is not None:
        cl = df.loc[y.index, cluster]
        o["iv2sls_clustered"] = dict(
            tab(m.fit(cov_type="clustered", clusters=cl)),
            cluster=cluster,
            n_clusters=int(cl.nunique()),
        )
        g = IVGMM.from_formula(formula, df, weight_type="clustered", clusters=cl)
        o["ivgmm2_clustered"] = tab(g.fit(cov_type="clustered", clusters=cl), True)
    if kernel is not None:
        bw = kernel
        o["iv2sls_kernel"] = dict(
            tab(m.fit(cov_type="kernel", kernel="bartlett", bandwidth=bw)),
            kernel="bartlett",
            bandwidth=bw,
        )
        g = IVGMM.from_formula(formula, df, weight_type="kernel", kernel="bartlett", bandwidth=bw)
        o["ivgmm2_kernel"] = tab(g.fit(cov_type="kernel", kernel="bartlett", bandwidth=bw), True)
    l = IVLIML.from_formula(formula, df).fit(cov_type="robust")
    o["ivliml_robust"] = dict(tab(l), kappa=f(l.kappa))
    g = IVGMM.from_formula(formula, df)  # weight_type="robust", uncentered
    o["ivgmm2_robust"] = tab(g.fit(cov_type="robust"), True)
    o["ivgmm_iterated_robust"] = tab(g.fit(iter_limit=1000, tol=1e-10, cov_type="robust"), True)
    gc = IVGMM.from_formula(formula, df, center=True)
    o["ivgmm2_robust_centered"] = tab(gc.fit(cov_type="robust"), True)
    if cue:
        try:
            o["ivgmmcue_robust"] = tab(
                IVGMMCUE.from_formula(formula, df).fit(cov_type="robust"), True
            )
        except Exception as e:
            o["ivgmmcue_robust"] = {"error": repr(e)[:200]}
    if o["n_instr"] > o["n_endog"]:
        o["sargan"], o["basmann"] = st(r.sargan), st(r.basmann)
        o["wooldridge_overid"] = st(r.wooldridge_overid)
        o["anderson_rubin_overid_lm"] = st(r.anderson_rubin)
    o["wu_hausman"], o["durbin"] = st(r.wu_hausman()), st(r.durbin())
    fs, fu = r.first_stage, u.first_stage
    d = fs.diagnostics
    o["first_stage_linearmodels_robust"] = {
        str(i): {
            c: f(d.loc[i, c]) if not isinstance(d.loc[i, c], str) else d.loc[i, c]
            for c in d.columns
        }
        for i in d.index
    }
    d = fu.diagnostics
    o["first_stage_linearmodels_unadjusted"] = {
        str(i): {
            c: f(d.loc[i, c]) if not isinstance(d.loc[i, c], str) else d.loc[i, c]
            for c in d.columns
        }
        for i in d.index
    }
    for nm in ("cragg_donald_f", "kleibergen_paap_f"):
        try:
            o[nm] = f(getattr(fs, nm))
        except Exception as e:
            o[nm] = repr(e)[:100]
    if weak and o["n_endog"] == 1:
        o["weak_iv_own"] = weak_iv(
            y.values.astype(float),
            exog.values.astype(float),
            endog.values.astype(float),
            instr.values.astype(float),
        )
        if n <= 40000:
            try:
                import ivmodels.tests as T

                C = exog.values.astype(float)
                C = C[:, C.std(0) > 0]
                kw = dict(
                    Z=instr.values.astype(float),
                    X=endog.values.astype(float),
                    y=y.values[:, 0].astype(float),
                    alpha=0.05,
                    C=C if C.shape[1] else None,
                )
                o["ivmodels_AR_set_95"] = str(T.inverse_anderson_rubin_test(**kw))
                o["ivmodels_CLR_set_95"] = str(T.inverse_conditional_likelihood_ratio_test(**kw))
            except Exception as e:
                o["ivmodels_error"] = repr(e)[:200]
    return o


# ---------------------------------------------------------------- linear specs
def prep_cig(d):
    d = d.copy()
    d["lpacks"], d["lrprice"] = np.log(d.packs), np.log(d.price / d.cpi)
    d["lrincome"] = np.log(d.income / d.population / d.cpi)
    d["tdiff"], d["rtax"] = (d.taxs - d.tax) / d.cpi, d.tax / d.cpi
    a, b = d[d.year == 1985].set_index("state"), d[d.year == 1995].set_index("state")
    c = ["lpacks", "lrprice", "lrincome", "tdiff", "rtax"]
    return (b[c] - a[c]).reset_index()


REG = " + ".join("reg66%d" % i for i in range(1, 9))
CARD = "lwage ~ 1 + exper + expersq + black + south + smsa + %s + smsa66 + [educ ~ %%s]" % REG
AKQ = " + ".join("q%d" % i for i in (1, 2, 3))
LINEAR = {
    "card_just": ("card1995.csv", None, CARD % "nearc4", {}),
    "card_over": ("card1995.csv", None, CARD % "nearc2 + nearc4", {}),
    "card_short_over": (
        "card1995.csv",
        None,
        "lwage ~ 1 + exper + expersq + black + south + [educ ~ nearc2 + nearc4]",
        {},
    ),
    "mroz_over": (
        "mroz1987.csv",
        lambda d: d[d.inlf == 1],
        "lwage ~ 1 + exper + expersq + [educ ~ motheduc + fatheduc]",
        {},
    ),
    "mroz_over3": (
        "mroz1987.csv",
        lambda d: d[d.inlf == 1],
        "lwage ~ 1 + exper + expersq + [educ ~ motheduc + fatheduc + huseduc]",
        {},
    ),
    "meps_just": (
        "meps.csv",
        None,
        "ldrugexp ~ 1 + totchr + female + age + linc + blhisp + [hi_empunion ~ ssiratio]",
        {},
    ),
    "meps_over": (
        "meps.csv",
        None,
        "ldrugexp ~ 1 + totchr + female + age + linc + blhisp + [hi_empunion ~ ssiratio + lowincome + multlc + firmsz]",
        {},
    ),
    "wage_sibs": ("wage_bn1992.csv", None, "lwage ~ 1 + exper + [educ ~ sibs + brthord]", {}),
    "wage_parents": (
        "wage_bn1992.csv",
        None,
        "lwage ~ 1 + exper + tenure + married + black + south + urban + [educ ~ sibs + brthord + meduc + feduc]",
        {},
    ),
    "griliches_iq": (
        "griliches1976.csv",
        None,
        "lw ~ 1 + s + expr + tenure + rns + smsa + C(year) + [iq ~ med + kww + age + mrt]",
        {},
    ),
    "griliches_s_iq": (
        "griliches1976.csv",
        None,
        "lw ~ 1 + expr + tenure + rns + smsa + C(year) + [s + iq ~ med + kww + age + mrt]",
        {},
    ),
    "ajr_col1": (
        "ajr2001_table5.csv",
        lambda d: d[d.baseco == 1],
        "logpgp95 ~ 1 + [avexpr ~ logem4]",
        {},
    ),
    "ajr_col2_latitude": (
        "ajr2001_table5.csv",
        lambda d: d[d.baseco == 1],
        "logpgp95 ~ 1 + lat_abst + [avexpr ~ logem4]",
        {},
    ),
    "ajr_over_latitude_iv": (
        "ajr2001_table5.csv",
        lambda d: d[d.baseco == 1],
        "logpgp95 ~ 1 + [avexpr ~ logem4 + lat_abst]",
        {},
    ),
    "ajr_altfile_col1": (
        "ajr2001_col1.csv",
        lambda d: d.assign(logmort=np.log(d.Mort)),
        "GDP ~ 1 + [Exprop ~ logmort]",
        {},
    ),
    "ajr_altfile_continents": (
        "ajr2001_col1.csv",
        lambda d: d.assign(logmort=np.log(d.Mort)),
        "GDP ~ 1 + Africa + Asia + Neo + [Exprop ~ logmort]",
        {},
    ),
    "ajr_table5_british_french": (
        "ajr2001_table5.csv",
        lambda d: d[d.baseco == 1],
        "logpgp95 ~ 1 + f_brit + f_french + [avexpr ~ logem4]",
        {},
    ),
    "cigarettes_longdiff": (
        "cigarettes_sw.csv",
        prep_cig,
        "lpacks ~ 1 + lrincome + [lrprice ~ tdiff + rtax]",
        {},
    ),
    "hsng_rent": (
        "hsng1980.csv",
        None,
        "rent ~ 1 + pcturban + [hsngval ~ faminc + reg2 + reg3 + reg4]",
        {},
    ),
    "campbell_mankiw": (
        "consump_annual.csv",
        None,
        "gc ~ 1 + [gy + r3 ~ gc_1 + gy_1 + r3_1]",
        {"kernel": 2},
    ),
    "ak_sub_3iv": (
        "ak1991_sub20000.csv",
        lambda d: d.assign(**{"q%d" % i: (d.qob == i) * 1 for i in (1, 2, 3)}),
        "lwage ~ 1 + C(yob) + [education ~ %s]" % AKQ,
        {"cluster": "sob"},
    ),
    "ak_sub_30iv": (
        "ak1991_sub20000.csv",
        lambda d: d.assign(
            **{
                "q%d_y%d" % (i, y): ((d.qob == i) & (d.yob == y)) * 1
                for i in (1, 2, 3)
                for y in range(1930, 1940)
            }
        ),
        "lwage ~ 1 + C(yob) + [education ~ %s]"
        % " + ".join("q%d_y%d" % (i, y) for i in (1, 2, 3) for y in range(1930, 1940)),
        {"cue": True},
    ),
}


def linear(names=None, table=LINEAR, folder=HERE):
    out = {}
    for k, (file, prep, fm, kw) in table.items():
        if names and k not in names:
            continue
        d = pd.read_csv(os.path.join(folder, file))
        if prep:
            d = prep(d)
        import re

        vars_ = [v for v in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", fm)) if v in d.columns]
        n0 = len(d)
        d = d.dropna(subset=vars_).reset_index(drop=True)
        o = run_spec(d, fm, **kw)
        o["data"] = file
        o["rows_dropped_missing"] = n0 - len(d)
        out[k] = o
        print(
            k,
            o["nobs"],
            {
                a: round(v, 6)
                for a, v in o["iv2sls_robust"]["params"].items()
                if a in fm.split("[")[1]
            },
            flush=True,
        )
    return out


def versions():
    from importlib.metadata import version

    v = {}
    for p in (
        "linearmodels",
        "statsmodels",
        "numpy",
        "scipy",
        "pandas",
        "formulaic",
        "pyfixest",
        "ivmodels",
        "wooldridge",
    ):
        try:
            v[p] = version(p)
        except Exception:
            pass
    return v


if __name__ == "__main__":
    res = linear(sys.argv[1:] or None)
    p = os.path.join(HERE, "reference_iv.json")
    old = json.load(open(p)) if os.path.exists(p) else {}
    old["versions"] = versions()
    old.setdefault("linear", {}).update(res)
    json.dump(old, open(p, "w"), indent=1)
