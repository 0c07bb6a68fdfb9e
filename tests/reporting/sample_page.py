"""A small page of a report with everything a chapter may put out, and the values it prints."""

import base64
import io
from dataclasses import replace

import pandas as pd
from PIL import Image

from workbench.reporting.tree import Document, PageBreak

VALUES = pd.DataFrame(
    [
        ("vopen00001", "TJ-A11", "km2", 1234.56, "公开"),
        ("vopen00002", "report.computed", "count", 2.0, "公开"),
        ("vinner0001", "TJ-A13", "km2", 67.01, "内部"),
        ("vinner0002", "case.area_m2", "m2", 5829.4, "内部"),
        ("vnone00001", "TJ-E06", "1e4 person-trip", None, "公开"),
        ("vsmall0001", "report.cases", "count", 3.0, "公开"),
        ("vsmall0002", "TJ-A22", "count", 4.0, "公开"),
    ],
    columns=["value_id", "indicator", "unit", "value", "sensitivity"],
)


def picture(width=220, height=110):
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#2e7d32").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def num(value_id, text):
    return f'<span class="num" data-v="{value_id}">{text}</span>'


AREA, INNER, CASE = num("vopen00001", "1,234.6"), num("vinner0001", "67.01"), num("vinner0002", "5,829")
NONE = '<span class="num missing" data-v="vnone00001" title="没有图层">无数据</span>'
LONG = "".join(
    f'<tr><th scope="row">第<span class="x">{at}</span>行</th><td class="number">{AREA}</td><td>说明文字</td></tr>'
    for at in range(1, 61)
)
CHAPTERS = f"""
<section class="chapter" id="ch-one"><h2><span class="x label">1</span>总体结论<a class="back" href="#contents">回到目录</a></h2>
<h3 id="ch-one-1"><span class="x label">1.1</span> 综合判断</h3>
<div class="conclusion"><p class="lead">耕地面积{AREA}平方千米。生态保护红线面积{INNER}平方千米。依据 <span class="x">TD/T 1063-2021</span>。</p>
<ul><li>已计算{num("vopen00002", "2")}项<ul><li>其中<strong>重点</strong></li></ul></li><li>图斑{num("vsmall0001", "3")}个</li></ul><ol><li>先核查</li><li>后整改 &lt;急&gt;</li></ol></div>
<h4>小节</h4><p>面积 m<sup class="x">2</sup>，<em>注意</em>：&amp;</p>
<table class="wb-table mixed"><caption><span class="x label">表 1-1</span> 合并单元格</caption>
<thead><tr><th rowspan="2">区</th><th colspan="2">面积</th><th rowspan="2">等级</th></tr><tr><th class="number">今年</th><th class="number">上年</th></tr></thead>
<tbody><tr><th scope="row" rowspan="2">江北区</th><td class="number">{AREA}</td><td class="number">{NONE}</td><td><span class="chip level-4">严重</span></td></tr>
<tr><td class="number">{INNER}</td><td class="number">{AREA}</td><td><span class="trend down bad">下降</span></td></tr>
<tr class="total"><th scope="row">合计</th><td class="number" colspan="2">{AREA}</td><td><span class="tier proxy">代理</span></td></tr></tbody></table>
<p class="wb-note">代理：以相关量近似。</p>
<figure class="wb-figure" data-sensitivity="公开" data-boundaries="districts"><img src="data:image/png;base64,{picture()}" alt="地图：各区面积"><figcaption><span class="x label">图 1-1</span> 各区面积（<span class="x">2025</span>年）</figcaption></figure>
<figure class="wb-figure" data-sensitivity="公开"><img src="data:image/png;base64,{picture(900, 300)}" alt="条形图"><figcaption><span class="x label">图 1-2</span> 公开的图</figcaption></figure>
<figure class="wb-figure"><img src="data:image/png;base64,{picture(300, 900)}" alt="未注明"><figcaption><span class="x label">图 1-3</span> 未注明的图</figcaption></figure>
</section>
<section class="chapter" id="ch-two"><h2><span class="x label">2</span>失败的一章</h2>
<div class="failure x" role="alert"><p class="failure-title">本章未能生成（failed）</p><p><code>ValueError: line 3</code></p></div></section>
<section class="chapter" id="ch-annex"><h2><span class="x label">A</span>附表</h2>
<h3 id="ch-annex-1"><span class="x label">A.1</span> 长表</h3>
<table class="wb-table long"><caption><span class="x label">表 A-1</span> 六十行</caption><thead><tr><th>名称</th><th class="number">数值</th><th>说明</th></tr></thead><tbody>{LONG}</tbody></table>
<table class="wb-table cases"><caption><span class="x label">表 A-2</span> 疑似图斑</caption><thead><tr><th>图斑</th><th class="number">面积</th></tr></thead>
<tbody><tr><th scope="row"><span class="x">STBHHX-990103-2025-003</span></th><td class="number">{CASE}</td></tr></tbody></table>
<table class="wb-table data"><caption><span class="x label">表 A-3</span> 数据清单</caption><thead><tr><th>数据层</th><th>密级</th></tr></thead>
<tbody><tr><th scope="row">道路</th><td>公开</td></tr><tr><th scope="row">红线</th><td>内部</td></tr></tbody></table>
</section>
"""


def page(lang="zh"):
    """The page; in English only the language differs."""
    return f"""<!DOCTYPE html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><title>x 1</title><style>p {{ margin: 3px }}</style></head><body>
<header class="cover"><p class="cover-city">小镇</p><h1>年度体检报告</h1><p class="cover-year"><span class="x">2025</span> 年度</p>
<p class="cover-notice">释义未经核对</p><dl class="cover-facts"><div><dt>体检年度</dt><dd><span class="x">2025</span></dd></div>
<div><dt>范围</dt><dd><span class="x">市域 {AREA}</span></dd></div></dl><p class="cover-foot">自动生成</p></header>
<nav class="toc"><ol><li>1 总体结论</li></ol></nav><main>{CHAPTERS}</main></body></html>"""


def with_annex_on_its_side(document: Document) -> Document:
    """The document with its last chapter on landscape pages, as an appendix of wide tables lies."""
    at = max(at for at, block in enumerate(document.blocks) if isinstance(block, PageBreak))
    blocks = (*document.blocks[:at], PageBreak(landscape=True), *document.blocks[at + 1 :])
    return replace(document, blocks=blocks)
